// One command: its fields, its dry run, the question before it is sent, and what became of it.

import { freshKey, whyNot } from "./calls.js";
import { el, pill } from "./elements.js";
import { Fields } from "./forms.js";
import { lines, look, summary } from "./interlocks.js";
import { Order } from "./order.js";
import { RUN_STATES, advice, describe, values } from "./words.js";

const SLACK_MS = 15_000; // for its turn, beside the command's own limit

export class CommandForm {
  element;
  #address;
  #confirm;
  #command;
  #fields;
  #order = null;
  #machine = null;
  #isLooking = false;
  #heading = el("summary");
  #description = el("p", { class: "description" });
  #place = el("div");
  #check = el("button", { type: "button", class: "act" }, gettext("Check"));
  #run = el("button", { type: "submit", class: "act run" }, gettext("Run…"));
  #said = el("p", { class: "said-of-it", role: "status" });
  #found = el("div", { class: "found" });
  #outcome = el("div", { class: "came" });

  constructor(command, address, confirm) {
    this.#address = address;
    this.#confirm = confirm;
    const buttons = el("p", { class: "buttons" }, this.#check, this.#run);
    const form = el("form", { novalidate: true }, this.#description, this.#place, buttons, this.#said, this.#found, this.#outcome);
    this.element = el("details", { class: "command-card", "data-command": command.name }, this.#heading, form);
    this.#check.addEventListener("click", () => this.#look());
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#ask();
    });
    this.become(command);
  }

  /** Show the command as it is now; what was typed stays. */
  become(command) {
    const typed = this.#fields?.typed() ?? new Map();
    this.#command = command;
    this.#fields = new Fields(command.parameters, `of-${command.name}`);
    this.#fields.fill(typed);
    const name = command.title ? el("code", {}, command.name) : "";
    this.#heading.replaceChildren(el("h3", {}, command.title || command.name), " ", name);
    this.#description.textContent = command.description;
    this.#place.replaceChildren(this.#fields.element);
  }

  render(machine) {
    this.#machine = machine;
    const isOff = machine.plc.state === "disabled" || machine.lockOut() !== null;
    for (const button of [this.#check, this.#run]) button.disabled = isOff;
    if (this.#order?.run) this.#order.takeRun(machine.runs.find((run) => run.id === this.#order.run.id));
  }

  /** Look first, then ask the person, then send: once. */
  async #ask() {
    if (this.#order?.stage === "lost") return this.#pointAtLost();
    if (this.#order?.stage === "sending") return;
    const looked = await this.#look();
    if (!looked) return;
    // Made before the question is asked: however often its button is pressed, it is one and the same request.
    const key = freshKey();
    const title = this.#command.title || this.#command.name;
    if (await this.#confirm.ask({ title, said: looked.said, found: looked.found }, this.#machine)) this.#send(looked.body, key);
    else this.#say(gettext("Cancelled: nothing was sent."));
  }

  /** What is to be sent and the interlocks as they are; null where a value is wrong, or a look is under way. */
  async #look() {
    if (this.#isLooking || !this.#machine) return null;
    const taken = this.#fields.take();
    this.#forget();
    if (!taken) return this.#say(gettext("Nothing was sent: a value is wrong."));
    this.#isLooking = true;
    this.#say(gettext("Reading the interlocks…"));
    const found = await look(this.#address, taken.body, 1000 * this.#command.time_limit_s + SLACK_MS);
    found.at = new Date(this.#machine.now()).toISOString();
    this.#isLooking = false;
    return this.#show(found) ? { ...taken, found } : null;
  }

  #show(found) {
    if (found.errors.length) {
      this.#tellWrong(found.errors);
      return false;
    }
    this.#say(summary(found));
    this.#found.replaceChildren(...lines(found, this.#machine.tags));
    return true;
  }

  #tellWrong(errors) {
    const others = this.#fields.tell(errors).map(({ field, message }) => `${field} ${message}`);
    this.#say([gettext("Nothing was sent: a value is wrong."), ...others].join(" "));
  }

  #send(body, key) {
    this.#forget();
    this.#order = new Order(this.#address, body, key, { onChange: () => this.#tell() });
    this.#order.send();
  }

  #tell() {
    const { stage, run, answer } = this.#order;
    if (stage === "sending") this.#say(gettext("Sending…"));
    if (stage === "lost") this.#tellLost();
    if (stage === "refused") this.#tellRefused(answer);
    if (stage === "taken") this.#tellRun(run);
  }

  #tellLost() {
    const again = el("button", { type: "button", class: "act" }, gettext("Ask again"));
    again.addEventListener("click", () => {
      this.#run.focus();
      this.#order.send();
    });
    this.#say(
      pill({ word: gettext("Not known"), shape: "diamond", tone: "look" }),
      gettext("The connection broke while it was sent: it is not known whether it was started. Ask again: it never starts twice."),
    );
    this.#outcome.replaceChildren(again);
  }

  #pointAtLost() {
    this.#outcome.querySelector("button")?.focus();
  }

  #tellRefused(answer) {
    this.#outcome.replaceChildren();
    if (answer.content.errors) this.#tellWrong(answer.content.errors);
    else this.#say(pill({ word: gettext("Not started"), shape: "no-entry", tone: "warn" }), whyNot(answer));
  }

  #tellRun(run) {
    const state = describe(RUN_STATES, run.state);
    this.#say(pill(state), saying(run, state));
    const link = el("a", { href: `#run-${run.id}` }, interpolate(gettext("See run %s in the history"), [run.id]));
    const look = state.tone === "look" ? gettext("It may have happened: look at the machine before you repeat it.") : "";
    this.#outcome.replaceChildren(el("p", { class: "advice", "data-tone": state.tone }, look || advice(run)), link);
  }

  #forget() {
    this.#found.replaceChildren();
    this.#outcome.replaceChildren();
  }

  /** Say it where a screen reader hears it too. */
  #say(...parts) {
    this.#said.replaceChildren(...parts.flatMap((part) => [part, " "]).slice(0, -1));
    return null;
  }
}

/** What came of a run: what was read after success, else why it went as it did. */
function saying(run, state) {
  if (run.state === "succeeded") return values(run.result) || gettext("The machine confirmed it.");
  return run.detail || (run.finished_at ? state.word : gettext("It is under way; its steps appear in the history below."));
}
