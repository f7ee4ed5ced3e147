// The trends of the chosen tags over the last hours.

import { arrange, el } from "./elements.js";
import { Trend } from "./trend.js";

const RANGES = [1, 8, 24]; // hours

export class Trends {
  #places;
  #choice;
  #asked;
  #onChange;
  #hours = RANGES[0];
  #buttons;
  #trends = new Map();
  #isStale = false;

  /**
   * `places`: the elements `ranges`, `list` and `none`; `choice`: of the tags; `api`: the PLC's address there;
   * `mayAsk`: whether it answers the person.
   */
  constructor(places, choice, { api, mayAsk, onChange }) {
    this.#places = places;
    this.#choice = choice;
    this.#asked = { api, mayAsk };
    this.#onChange = onChange;
    this.#buttons = RANGES.map((hours) => this.#button(hours));
    places.ranges.append(...this.#buttons);
  }

  #button(hours) {
    const button = el("button", { type: "button", class: "tool" }, interpolate(gettext("%s h"), [hours]));
    button.setAttribute("aria-pressed", hours === this.#hours);
    button.addEventListener("click", () => this.#show(hours));
    return button;
  }

  #show(hours) {
    this.#hours = hours;
    this.#isStale = true;
    this.#buttons.forEach((button, place) => button.setAttribute("aria-pressed", RANGES[place] === hours));
    this.#onChange();
  }

  /** Something may have been missed: what was recorded tells. */
  reload() {
    this.#isStale = true;
  }

  /** A round was read: each curve goes on, whether or not somebody looks. */
  take(machine) {
    for (const [name, trend] of this.#trends) if (machine.tags.has(name)) trend.take(machine.tags.get(name));
  }

  render(machine) {
    const tags = this.#choice.of(machine.tags);
    this.#drop(new Set(tags.map((tag) => tag.name)));
    for (const tag of tags) this.#trend(tag.name, machine).render(tag, machine);
    this.#isStale = false;
    arrange(
      this.#places.list,
      tags.map((tag) => this.#trends.get(tag.name).element),
    );
    this.#places.none.hidden = tags.length > 0;
  }

  #trend(name, machine) {
    const known = this.#trends.get(name);
    const trend = known ?? new Trend(name, { ...this.#asked, onClose: () => this.#choice.toggle(name) });
    this.#trends.set(name, trend);
    if (!known || this.#isStale) trend.load(this.#hours, machine.now());
    return trend;
  }

  #drop(kept) {
    for (const [name, trend] of this.#trends) {
      if (kept.has(name)) continue;
      trend.close();
      this.#trends.delete(name);
    }
  }
}
