// The last question before a machine acts: which machine, which values, and what stands against it.

import { el, pill, write } from "./elements.js";
import { lines, summary } from "./interlocks.js";
import { heldBy, stillMoving } from "./locked.js";
import { PLC_STATES, describe, stateOf } from "./words.js";

const SETTLE_MS = 400; // the second click of a double click must not answer a question that nobody has read

export class Confirm {
  #heading = el("h2", { id: "confirm-title" });
  #said = el("dl", { class: "said" });
  #machine = el("p", { class: "now" });
  #summary = el("p", { class: "summary" });
  #interlocks = el("div", { class: "found" });
  #cancel = el("button", { type: "button", class: "act", autofocus: true }, gettext("Cancel"));
  #run = el("button", { type: "button", class: "act run" });
  #dialog;
  #answer = null;
  #found = null;
  #isSettled = false;
  #settling;
  #isBarred = false; // the PLC takes no commands

  constructor() {
    const about = el("div", { id: "confirm-about" }, this.#said, this.#machine, this.#summary, this.#interlocks);
    const buttons = el("p", { class: "buttons" }, this.#cancel, this.#run);
    const named = { "aria-labelledby": "confirm-title", "aria-describedby": "confirm-about" };
    this.#dialog = el("dialog", { class: "confirm", ...named }, this.#heading, about, buttons);
    document.body.append(this.#dialog);
    this.#cancel.addEventListener("click", () => this.#dialog.close());
    this.#run.addEventListener("click", () => this.#close(true));
    this.#dialog.addEventListener("close", () => this.#close(false));
  }

  /** Whether to run it: `title` of the command, values `said`, interlocks as `found`. Escape and Cancel say no. */
  ask({ title, said, found }, machine) {
    const names = { command: title, machine: nameOf(machine.plc) };
    this.#heading.textContent = interpolate(gettext("%(command)s on %(machine)s"), names, true);
    this.#said.replaceChildren(...said.flatMap(([label, value]) => [el("dt", {}, label), el("dd", {}, value)]));
    this.#found = found;
    this.#interlocks.replaceChildren(...lines(found, machine.tags));
    const sure = found.isFree ? gettext("Run: %s") : gettext("Run all the same: %s");
    this.#run.textContent = interpolate(sure, [title]);
    this.#open();
    this.render(machine);
    return new Promise((resolve) => (this.#answer = resolve));
  }

  /** What the machine does while the question stands. */
  render(machine) {
    this.#machine.replaceChildren(pill(describe(PLC_STATES, stateOf(machine.plc))), el("span", {}, standing(machine)));
    if (this.#found) this.#judge(whyNone(machine));
  }

  /** What was found holds no longer where the PLC takes no commands meanwhile: `why`, empty where it takes them. */
  #judge(why) {
    this.#isBarred = why !== "";
    write(this.#summary, why || summary(this.#found));
    this.#summary.dataset.tone = this.#isBarred ? "bad" : this.#found.isFree ? "good" : "warn";
    this.#interlocks.hidden = this.#isBarred;
    this.#allow();
  }

  #allow() {
    this.#run.disabled = this.#isBarred || !this.#isSettled;
  }

  #open() {
    this.#isSettled = false;
    clearTimeout(this.#settling);
    this.#settling = setTimeout(() => {
      this.#isSettled = true;
      this.#allow();
    }, SETTLE_MS);
    this.#dialog.showModal();
  }

  #close(isSure) {
    this.#answer?.(isSure);
    this.#answer = null;
    this.#found = null;
    this.#dialog.close();
  }
}

/** What a run that is started now meets at the machine, in one sentence. */
export function standing(machine) {
  const { plc } = machine;
  const running = machine.running();
  const waiting = machine.runs.filter((run) => run.state === "queued").length;
  if (machine.lockOut()) return gettext("This PLC is locked out for maintenance: it takes no commands.");
  if (plc.state === "disabled") return gettext("This PLC is disabled: it takes no commands.");
  if (plc.state === "offline") return gettext("This PLC is offline: a command would most likely fail.");
  if (plc.reason) return interpolate(gettext("The last call did not reach it: %s"), [plc.reason]);
  if (!running && !waiting) return gettext("No other run waits or is under way: this one begins at once.");
  if (!waiting) return interpolate(gettext("It is busy with %s: the run waits for its turn."), [running.command]);
  const amount = ngettext("%s run waits before this one.", "%s runs wait before this one.", waiting);
  return interpolate(amount, [waiting]);
}

/** Why a command is not taken at all, who says so and what for; empty where it is. */
function whyNone(machine) {
  const held = machine.lockOut();
  if (held) return [held.reason, heldBy(held, machine.now()), stillMoving(machine)].filter(Boolean).join(" · ");
  return machine.plc.state === "disabled" ? gettext("Nothing is sent to this PLC until an engineer enables it again.") : "";
}

export function nameOf(plc) {
  return plc.title || plc.name;
}
