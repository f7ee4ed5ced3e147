// Locking this PLC out for maintenance: who sees it reads who, why and until when; who may administer it does it here.

import { NoAnswer, call, isGood, whyNot } from "./calls.js";
import { el, pill, write } from "./elements.js";
import { LOCKED, heldBy, stillMoving } from "./locked.js";
import { CALLER } from "./viewer.js";

const LONGEST = 300; // characters of a reason

export class LockOut {
  #section;
  #address;
  #who = el("p", { class: "held-by" });
  #why = el("p", { class: "why" });
  #moving = el("p", { class: "still-moving", "data-tone": "bad" });
  #told;
  #held = null;
  #heading = el("summary");
  #send = el("button", { type: "submit", class: "act run" });
  #lock;
  #unlock;
  #reason = el("input", { id: "lock-reason", type: "text", maxlength: LONGEST, autocomplete: "off", required: true });
  #until = el("input", { id: "lock-until", type: "datetime-local" });
  #said = el("p", { class: "said-of-it", role: "status" });

  /** `section`: its place; `api`: the PLC's address there. */
  constructor(section, api) {
    this.#section = section;
    this.#address = `${api}/lock-out`;
    this.#told = el("div", { class: "locked", role: "status", "data-tone": LOCKED.tone });
    this.#lock = this.#lockForm();
    this.#unlock = this.#unlockForm();
    section.append(this.#told, this.#lock, this.#unlock, this.#said);
  }

  render(machine) {
    const held = machine.lockOut();
    const { administer } = machine.may;
    this.#section.hidden = !held && !administer;
    this.#tell(held, machine);
    this.#held = held;
    this.#lock.hidden = !administer || (held !== null && !this.#isHis);
    write(this.#heading, held ? gettext("Change reason or end…") : gettext("Lock out for maintenance…"));
    write(this.#send, held ? gettext("Change") : gettext("Lock out"));
    this.#unlock.hidden = !administer || held === null;
  }

  /** Who has locked it may say anew why and until when; others ask him. */
  get #isHis() {
    return this.#held?.by === CALLER;
  }

  #tell(held, machine) {
    this.#told.hidden = !held;
    if (!held) return this.#told.replaceChildren();
    write(this.#who, heldBy(held, machine.now()));
    write(this.#why, held.reason);
    write(this.#moving, stillMoving(machine));
    const text = gettext("No command is taken. What the PLC holds is still read.");
    if (!this.#told.firstChild) this.#told.append(pill(LOCKED), this.#why, this.#who, el("p", {}, text), this.#moving);
  }

  #lockForm() {
    const reason = field(gettext("Why: whoever asks for a command reads it"), this.#reason);
    const until = field(gettext("Until when; empty: until it is unlocked"), this.#until);
    const form = el("form", { novalidate: true }, reason, until, el("p", { class: "buttons" }, this.#send));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const done = this.#held ? gettext("Changed.") : gettext("Locked out.");
      this.#ask("PUT", { reason: this.#reason.value, until: momentOf(this.#until) }, done, this.#lock);
    });
    this.#heading.addEventListener("click", () => this.#lock.open || this.#fill());
    return el("details", {}, this.#heading, form);
  }

  /** With what holds, before the form is opened. */
  #fill() {
    this.#reason.value = this.#held?.reason ?? "";
    this.#until.value = this.#held?.until ? typedOf(this.#held.until) : "";
  }

  #unlockForm() {
    const button = el("button", { type: "button", class: "act run" }, gettext("Unlock"));
    button.addEventListener("click", () => this.#ask("DELETE", null, gettext("Unlocked: commands are taken again."), this.#unlock));
    const warning = el("p", {}, gettext("Only when nobody is at the machine any longer: from then on commands start it."));
    return el("details", {}, el("summary", {}, gettext("Unlock…")), warning, el("p", { class: "buttons" }, button));
  }

  async #ask(method, given, done, form) {
    try {
      const answer = await call(this.#address, { method, body: given && JSON.stringify(given) });
      write(this.#said, isGood(answer) ? done : refusal(answer));
      if (!isGood(answer)) return;
      form.open = false;
      this.#reason.value = this.#until.value = "";
    } catch (error) {
      if (!(error instanceof NoAnswer)) throw error;
      write(this.#said, gettext("The gateway did not answer; try again."));
    }
  }
}

function field(label, input) {
  return el("p", { class: "field" }, el("label", { for: input.id }, label), el("span", { class: "input" }, input));
}

/** What was typed, by this computer's zone; null where it was left empty. */
function momentOf({ value }) {
  return value ? new Date(value).toISOString() : null;
}

/** A moment as it would be typed, by this computer's zone, to the second. */
function typedOf(moment) {
  const date = new Date(moment);
  return new Date(date - date.getTimezoneOffset() * 60_000).toISOString().slice(0, 19);
}

function refusal(answer) {
  const { errors } = answer.content;
  return errors ? errors.map(({ field: name, message }) => `${NAMES[name] ?? name}: ${message}`).join("; ") : whyNot(answer);
}

const NAMES = { reason: gettext("Why"), until: gettext("Until when") };
