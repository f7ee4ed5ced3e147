// The controls of the filter: a button a state with its count, the search, and what is said of the outcome.

import { el, shape, write } from "./elements.js";
import { PLC_STATES, amounts, either } from "./words.js";

export class FilterBar {
  #filter;
  #onChange;
  #search;
  #shown;
  #nothing;
  #all;
  #buttons = new Map();

  /** `parts`: the elements `states` (gets the buttons), `search`, `shown` and `nothing` (says so, and clears). */
  constructor(filter, parts, onChange) {
    this.#filter = filter;
    this.#onChange = onChange;
    this.#search = parts.search;
    this.#shown = parts.shown;
    this.#nothing = parts.nothing;
    this.#addButtons(parts.states);
    this.#search.value = filter.query;
    this.#listen();
  }

  #addButtons(list) {
    this.#all = new StateButton(null, { word: gettext("All"), tone: "all" }, () => this.#filter.states.clear());
    for (const [state, looks] of Object.entries(PLC_STATES)) {
      this.#buttons.set(state, new StateButton(looks.shape, looks, () => this.#filter.toggle(state)));
    }
    for (const { element } of [this.#all, ...this.#buttons.values()]) {
      element.addEventListener("click", () => this.#changed());
      list.append(element);
    }
  }

  #listen() {
    // While an input method composes, what stands there is not yet what is looked for.
    const read = (event) => event.isComposing || this.#seek(this.#search.value);
    this.#search.addEventListener("input", read);
    this.#search.addEventListener("compositionend", () => this.#seek(this.#search.value));
    this.#search.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && !event.isComposing) this.#seek("");
    });
    this.#nothing.querySelector("button").addEventListener("click", () => this.#clear());
    document.addEventListener("keydown", (event) => this.#hurry(event));
  }

  #seek(query) {
    this.#filter.query = query;
    if (this.#search.value !== query) this.#search.value = query;
    this.#changed();
  }

  #clear() {
    this.#filter.clear();
    this.#seek("");
    this.#search.focus();
  }

  #changed() {
    history.replaceState(history.state, "", this.#filter.address(location));
    this.#onChange();
  }

  /** `/` goes to the search, unless somebody types or it means something else. */
  #hurry(event) {
    const isTyping = event.target.closest?.("input, textarea, select, [contenteditable], dialog");
    if (event.key !== "/" || isTyping || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    this.#search.focus();
    this.#search.select();
  }

  /** Of `plcs`, all that there are, the search has `found` some, and of them some are `shown`. */
  render(plcs, found, shown) {
    const counts = amounts(found);
    this.#all.render(found.length, this.#filter.states.size === 0, true);
    for (const [state, button] of this.#buttons) button.render(counts.get(state) ?? 0, this.#filter.states.has(state));
    this.#nothing.hidden = shown.length > 0 || plcs.length === 0;
    write(this.#nothing.querySelector("p"), this.#filter.isActive ? nothingMatches(this.#filter) : "");
    write(this.#shown, this.#filter.isActive ? amountShown(shown.length, plcs.length) : "");
  }
}

function amountShown(shown, all) {
  const text = ngettext("%(shown)s of %(all)s PLC is shown.", "%(shown)s of %(all)s PLCs are shown.", all);
  return interpolate(text, { shown, all }, true);
}

function nothingMatches({ query, states }) {
  const said = { query: query.trim(), states: either([...states].map((state) => PLC_STATES[state].word)) };
  if (!said.query) return interpolate(gettext("No PLC is in this state now: %(states)s."), said, true);
  if (!states.size) return interpolate(gettext("No PLC matches “%(query)s”."), said, true);
  return interpolate(gettext("No PLC that matches “%(query)s” is in this state now: %(states)s."), said, true);
}

/** A button that chooses a state: shape, word and number. */
class StateButton {
  element;
  #number;

  constructor(shapeName, { word, tone }, onPress) {
    this.#number = el("span", { class: "number" });
    const sign = shapeName ? shape(shapeName) : "";
    this.element = el("button", { type: "button", class: "choice", "data-tone": tone }, sign, word, " ", this.#number);
    this.element.hidden = true;
    this.element.addEventListener("click", onPress);
  }

  /** One that counts nothing hides, unless it is chosen or somebody is just on it. */
  render(number, isPressed, isKept = false) {
    write(this.#number, String(number));
    this.element.setAttribute("aria-pressed", isPressed);
    this.element.hidden = !(number || isPressed || isKept || this.element === document.activeElement);
  }
}
