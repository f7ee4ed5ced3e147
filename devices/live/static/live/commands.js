// What the PLC can be told: a form a command, its dry run, and what became of what was sent.

import { NoAnswer, call, isGood, whyNot } from "./calls.js";
import { CommandForm } from "./command_form.js";
import { Confirm, standing } from "./confirm.js";
import { arrange, el, write } from "./elements.js";
import { stillMoving } from "./locked.js";

const NO_COMMANDS = gettext("This machine type has no commands yet.");
const NOT_GRANTED = gettext("You may look at this PLC. Running its commands was not granted to you.");

export class Commands {
  #list;
  #said;
  #moving = el("p", { class: "still-moving", "data-tone": "bad" });
  #none;
  #api;
  #commands = null;
  #forms = new Map();
  #confirm = new Confirm();
  #machine = null;
  #asked = null;

  /** `section` has the list, a line for what is said of all, and one for where there are none; `api` of the PLC. */
  constructor(section, api) {
    this.#list = section.querySelector(".commands");
    this.#said = section.querySelector(".said-of-all");
    this.#none = section.querySelector(".empty");
    this.#api = api;
    this.#said.after(this.#moving);
  }

  async #load() {
    try {
      const answer = await call(`${this.#api}/commands`);
      if (isGood(answer)) this.#take(answer.content.commands);
      else this.#fail(whyNot(answer));
    } catch (error) {
      if (!(error instanceof NoAnswer)) throw error;
      this.#fail(gettext("The gateway did not answer."));
    }
  }

  render(machine) {
    this.#machine = machine;
    // Each whole picture is a PLC anew: it comes at the start, and whenever an engineer changed something.
    if (this.#asked !== machine.plc) {
      this.#asked = machine.plc;
      this.#load();
    }
    this.#confirm.render(machine);
    if (this.#commands) this.#offer(machine);
    const isUsable = !machine.lockOut() && machine.plc.state !== "disabled" && machine.plc.state !== "offline";
    const said = isUsable ? "" : standing(machine);
    if (!this.#said.querySelector("button") && this.#said.textContent !== said) this.#said.textContent = said;
    write(this.#moving, machine.lockOut() ? stillMoving(machine) : "");
    for (const { form } of this.#forms.values()) form.render(machine);
  }

  #take(commands) {
    this.#said.replaceChildren();
    this.#commands = commands;
    if (this.#machine) this.render(this.#machine);
  }

  /** A form for each command that the person may run: no other would be carried out. */
  #offer(machine) {
    const { ceilings } = machine.may;
    const runnable = this.#commands.filter(({ name }) => machine.mayRun(name));
    const offered = runnable.map((command) => limited(command, ceilings[command.name] ?? {}));
    this.#none.hidden = offered.length > 0;
    write(this.#none, this.#commands.length ? NOT_GRANTED : NO_COMMANDS);
    const forms = offered.map((command) => this.#form(command));
    arrange(this.#list, forms.map((form) => form.element));
    const names = new Set(offered.map(({ name }) => name));
    for (const name of this.#forms.keys()) if (!names.has(name)) this.#forms.delete(name);
  }

  /** The command's form; as it was, with what somebody typed, unless the command was edited. */
  #form(command) {
    const known = this.#forms.get(command.name);
    const shows = JSON.stringify(command);
    if (!known) {
      const form = new CommandForm(command, `${this.#api}/commands/${command.name}`, this.#confirm);
      this.#forms.set(command.name, { form, shows });
      return form;
    }
    if (known.shows !== shows) known.form.become(command);
    known.shows = shows;
    return known.form;
  }

  #fail(why) {
    const again = el("button", { type: "button", class: "act" }, gettext("Try again"));
    again.addEventListener("click", () => this.#load());
    this.#said.replaceChildren(interpolate(gettext("The commands could not be loaded: %s"), [why]), " ", again);
  }
}

/** The command as the person may run it: the lower of its own limit and his ceiling, by name of the parameter, holds. */
function limited(command, ceilings) {
  const parameters = command.parameters.map((parameter) => {
    const ceiling = ceilings[parameter.name];
    if (ceiling === undefined) return parameter;
    const most = parameter.type === "integer" ? Math.floor(ceiling) : ceiling;
    return { ...parameter, maximum: Math.min(most, parameter.maximum ?? most) };
  });
  return { ...command, parameters };
}
