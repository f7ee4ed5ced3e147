// The fields of a command's parameters: what was typed is checked in words before anything is sent.

import { el } from "./elements.js";
import { amount, spoken } from "./words.js";

const WHOLE = /^[+-]?\d+$/;

const TYPES = {
  integer: { looks: { type: "number", step: "1", inputmode: "numeric" }, read: readWhole },
  number: { looks: { type: "number", step: "any", inputmode: "decimal" }, read: readNumber },
  boolean: { looks: { type: "checkbox" }, read: (input) => input.checked },
  text: { looks: { type: "text", autocomplete: "off" }, read: (input) => input.value },
};

/** What was typed and cannot be sent. */
class Wrong extends Error {}

export class Fields {
  element = el("div", { class: "fields" });
  #fields;

  /** `within` keeps the ids of several commands apart. */
  constructor(parameters, within) {
    this.#fields = parameters.map((parameter) => new Field(parameter, `${within}-${parameter.name}`));
    this.element.append(...this.#fields.map((field) => field.element));
  }

  /** All values, `{body, said: [[label, value in words], ...]}`; null where one is wrong, which is told at its field. */
  take() {
    const taken = this.#fields.map((field) => field.take());
    const wrong = this.#fields.find((field) => field.isWrong);
    wrong?.focus();
    if (wrong) return null;
    return { body: `{${taken.map(({ json }) => json).join(",")}}`, said: taken.map(({ said }) => said) };
  }

  /** Tell `{field, message}` at their fields; returns those that have none. */
  tell(errors) {
    const byName = new Map(this.#fields.map((field) => [field.name, field]));
    for (const { field, message } of errors) byName.get(field)?.tell(message);
    byName.get(errors.find(({ field }) => byName.has(field))?.field)?.focus();
    return errors.filter(({ field }) => !byName.has(field));
  }

  /** What was typed, to be put into the fields of the same names after the command was edited. */
  typed() {
    return new Map(this.#fields.map((field) => [field.name, field.typed]));
  }

  fill(typed) {
    for (const field of this.#fields) if (typed.has(field.name)) field.typed = typed.get(field.name);
  }
}

class Field {
  element;
  name;
  isWrong = false;
  #parameter;
  #input;
  #fault;

  constructor(parameter, id) {
    this.name = parameter.name;
    this.#parameter = parameter;
    this.#input = el("input", { id, name: parameter.name, ...looksOf(parameter), "aria-describedby": `${id}-told` });
    this.#fault = el("span", { class: "fault" });
    this.typed = parameter.default;
    this.element = this.#assemble(id);
    this.#input.addEventListener("input", () => this.tell(""));
    // A wheel that scrolls the page must not turn a batch of 15 into one of 14.
    this.#input.addEventListener("wheel", () => this.#input.blur(), { passive: true });
  }

  get #isBox() {
    return this.#input.type === "checkbox";
  }

  get typed() {
    return this.#isBox ? this.#input.checked : this.#input.value;
  }

  set typed(value) {
    if (this.#isBox) this.#input.checked = value === true;
    else this.#input.value = value ?? "";
  }

  /** Its part of the body, and what it says; undefined where it is wrong. */
  take() {
    try {
      const value = this.#value();
      this.tell("");
      return { json: `${JSON.stringify(this.name)}:${written(value)}`, said: this.#said(value) };
    } catch (error) {
      if (!(error instanceof Wrong)) throw error;
      this.tell(error.message);
      return undefined;
    }
  }

  tell(fault) {
    this.isWrong = fault !== "";
    this.#fault.textContent = fault;
    if (fault) this.#input.setAttribute("aria-invalid", "true");
    else this.#input.removeAttribute("aria-invalid");
  }

  focus() {
    this.#input.focus();
  }

  #assemble(id) {
    const { unit } = this.#parameter;
    const label = el("label", { for: id }, labelOf(this.#parameter));
    const hint = el("span", { class: "hint" }, hintOf(this.#parameter));
    const told = el("span", { class: "told", id: `${id}-told` }, hint, " ", this.#fault);
    const line = el("span", { class: "input" }, this.#input, unit ? el("span", { class: "unit" }, unit) : "");
    return el("p", { class: "field", "data-box": this.#isBox }, label, line, told);
  }

  #value() {
    if (!this.#isBox && this.#input.value === "" && !this.#input.validity.badInput) this.#requireLeftOut();
    const value = TYPES[this.#parameter.type].read(this.#input);
    requireWithin(this.#parameter, value);
    return value;
  }

  /** An empty text may be meant, in place of one that is usual; an empty number never. */
  #requireLeftOut() {
    const { type, default: usual } = this.#parameter;
    if (type === "text" && usual !== null) return;
    if (usual === null) throw new Wrong(gettext("Must be filled in"));
    throw new Wrong(interpolate(gettext("Must be filled in; usual is %s"), [usual]));
  }

  #said(value) {
    return [labelOf(this.#parameter), amount(spoken(value), this.#parameter.unit)];
  }
}

function looksOf({ type, minimum, maximum }) {
  const isNumber = type === "integer" || type === "number";
  return { ...TYPES[type].looks, ...(isNumber ? { min: minimum, max: maximum } : {}) };
}

function labelOf({ label, name }) {
  return label || name;
}

function hintOf({ minimum, maximum, default: usual, type }) {
  const limits = [
    minimum !== null && maximum !== null ? interpolate(gettext("%(low)s to %(high)s"), { low: minimum, high: maximum }, true) : "",
    minimum !== null && maximum === null ? interpolate(gettext("at least %s"), [minimum]) : "",
    minimum === null && maximum !== null ? interpolate(gettext("at most %s"), [maximum]) : "",
  ].find(Boolean);
  if (usual === null || usual === "" || type === "boolean") return limits ?? "";
  if (!limits) return interpolate(gettext("usual %s"), [spoken(usual)]);
  return interpolate(gettext("%(limits)s; usual %(usual)s"), { limits, usual: spoken(usual) }, true);
}

/** As a BigInt: a counter of 64 bits has more digits than JavaScript's numbers tell apart. */
function readWhole({ value, validity }) {
  if (validity.badInput || !WHOLE.test(value.trim())) throw new Wrong(gettext("Must be a whole number"));
  return BigInt(value.trim().replace(/^\+/, ""));
}

function readNumber({ value, validity }) {
  const number = Number(value);
  if (validity.badInput || !Number.isFinite(number)) throw new Wrong(gettext("Must be a number"));
  return number || 0; // there is no negative zero
}

function requireWithin({ minimum, maximum, unit }, value) {
  if (minimum !== null && value < minimum) throw new Wrong(interpolate(gettext("Must be at least %s"), [amount(minimum, unit)]));
  if (maximum !== null && value > maximum) throw new Wrong(interpolate(gettext("Must be at most %s"), [amount(maximum, unit)]));
}

function written(value) {
  return typeof value === "bigint" ? value.toString() : JSON.stringify(value);
}
