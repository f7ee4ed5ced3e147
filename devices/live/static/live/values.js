// What the tags of a PLC hold: a row a tag, of which only the cells are touched whose text has changed.

import { canBeDrawn } from "./choice.js";
import { arrange, el, shape, write } from "./elements.js";
import { QUALITIES, heldOf, labelOf, relied } from "./held.js";
import { hasAll, wordsOf } from "./search.js";

const MARKED_MS = 1500;
const MANY = 12; // tags

export class Values {
  #places;
  #choice;
  #rows = new Map();

  /** `places`: the elements `body`, `search`, `filter`, `found` and `none`; `choice`: of the tags with a trend. */
  constructor(places, choice) {
    this.#places = places;
    this.#choice = choice;
    places.search.addEventListener("input", () => this.#filter());
  }

  render(machine) {
    const tags = [...machine.tags.values()];
    for (const name of this.#rows.keys()) if (!machine.tags.has(name)) this.#rows.delete(name);
    for (const tag of tags) this.#row(tag).render(tag, machine, this.#choice.has(tag));
    arrange(
      this.#places.body,
      tags.map((tag) => this.#rows.get(tag.name).element),
    );
    this.#places.none.hidden = tags.length > 0;
    this.#places.filter.hidden = tags.length <= MANY;
    this.#filter();
  }

  #row(tag) {
    if (!this.#rows.has(tag.name)) this.#rows.set(tag.name, new Row(tag.name, () => this.#choice.toggle(tag.name)));
    return this.#rows.get(tag.name);
  }

  #filter() {
    const { filter, found, search } = this.#places;
    const words = filter.hidden ? [] : wordsOf(search.value);
    let shown = 0;
    for (const row of this.#rows.values()) shown += row.show(words);
    const text = ngettext("%(shown)s of %(all)s tag", "%(shown)s of %(all)s tags", this.#rows.size);
    write(found, words.length ? interpolate(text, { shown, all: this.#rows.size }, true) : "");
  }
}

/** One tag. */
class Row {
  element;
  #name;
  #about = el("p", { class: "about" });
  #held = el("span", { class: "held" });
  #unit = el("span", { class: "unit" });
  #label = el("span", { class: "label" });
  #value = el("td", { role: "cell", class: "value" }, this.#held, " ", this.#unit, " ", this.#label);
  #sign = el("span", { class: "sign" });
  #relied = el("span");
  #changed = el("time", { "data-says": "held" });
  #trend = el("button", { type: "button", class: "tool" }, shape("curve"), el("span", {}, gettext("Trend")));
  #text = "";
  #quality = "";
  #markedUntil = 0;

  constructor(name, onTrend) {
    this.#name = el("code", {}, name);
    this.#trend.setAttribute("aria-label", interpolate(gettext("Trend of %s"), [name]));
    this.#trend.addEventListener("click", onTrend);
    this.element = el(
      "tr",
      { role: "row", "data-tag": name },
      el("th", { role: "rowheader", scope: "row" }, this.#name, this.#about),
      this.#value,
      el("td", { role: "cell", class: "quality" }, this.#sign, " ", this.#relied),
      el("td", { role: "cell", class: "changed" }, this.#changed),
      el("td", { role: "cell", class: "chosen" }, this.#trend),
    );
  }

  render(tag, machine, isChosen) {
    write(this.#about, tag.description);
    this.#renderValue(tag);
    this.#renderQuality(tag, machine);
    set(this.#changed, "datetime", tag.changed_at);
    if (!tag.changed_at) write(this.#changed, "");
    this.#trend.toggleAttribute("hidden", !canBeDrawn(tag));
    set(this.#trend, "aria-pressed", String(isChosen));
  }

  #renderValue(tag) {
    const [held, label] = [heldOf(tag), labelOf(tag, tag.value)];
    const isChange = this.#text !== "" && this.#text !== held;
    this.#text = held;
    write(this.#held, held);
    write(this.#unit, tag.value === null ? "" : tag.unit);
    write(this.#label, label);
    set(this.#held, "title", typeof tag.value === "number" && String(tag.value) !== held ? String(tag.value) : null);
    if (isChange) this.#markedUntil = performance.now() + MARKED_MS;
    this.#value.toggleAttribute("data-changed", performance.now() < this.#markedUntil);
  }

  #renderQuality(tag, machine) {
    const quality = machine.quality(tag);
    write(this.#relied, relied(quality, tag, machine.now() - Date.parse(tag.read_at)));
    if (quality === this.#quality) return;
    this.#quality = quality;
    this.element.dataset.quality = quality;
    this.#sign.dataset.tone = QUALITIES[quality].tone;
    this.#sign.replaceChildren(shape(QUALITIES[quality].shape));
  }

  /** Whether it stays: it has all of the words. */
  show(words) {
    const isShown = hasAll(words, [this.#name.textContent, this.#about.textContent]);
    this.element.toggleAttribute("hidden", !isShown);
    return isShown;
  }
}

function set(element, name, value) {
  if (value === null) element.removeAttribute(name);
  else if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}
