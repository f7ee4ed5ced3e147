// The trend of one tag: its curve, what is under the cursor in words, and the same for those who do not see it.

import { Chart } from "./chart.js";
import { Curve } from "./curve.js";
import { el, write } from "./elements.js";
import { relied, saidOf } from "./held.js";
import { whyUntold } from "./viewer.js";
import { moment } from "./words.js";

const POINTS = 600; // asked of the history
const HOUR_S = 3600;
const FAST_S = 0.5; // tags that are read more often change between two pieces of news
const RELOAD_S = 60;

export class Trend {
  element;
  #name;
  #api;
  #mayAsk;
  #hours;
  #curve;
  #chart;
  #tag = null;
  #loadedAt = 0;
  #loading = null;
  #now = el("span", { class: "now" });
  #extremes;
  #cursor = el("p", { class: "cursor" });
  #note = el("p", { class: "note" });

  /**
   * `api`: the address of the PLC in the API; `mayAsk`: whether it answers the person; `onClose` when
   * nobody wants it any longer.
   */
  constructor(name, { api, mayAsk, onClose }) {
    this.#name = name;
    this.#api = api;
    this.#mayAsk = mayAsk;
    const place = el("div", { class: "chart", role: "img", "aria-describedby": `range-${name}` });
    place.setAttribute("aria-label", interpolate(gettext("Trend of %s"), [name]));
    this.#extremes = el("p", { id: `range-${name}`, class: "extremes" });
    this.element = this.#figure(place, onClose);
    this.#chart = new Chart(place, (point) => this.#say(point));
  }

  #figure(place, onClose) {
    const csv = el("a", { href: this.#address("history.csv"), download: true, hidden: !this.#mayAsk }, gettext("CSV"));
    csv.setAttribute("aria-label", interpolate(gettext("History of %s as CSV"), [this.#name]));
    csv.addEventListener("click", () => (csv.href = this.#address("history.csv", Date.now())));
    const close = el("button", { type: "button", class: "tool" }, gettext("Hide"));
    close.setAttribute("aria-label", interpolate(gettext("Hide the trend of %s"), [this.#name]));
    close.addEventListener("click", onClose);
    const caption = el("figcaption", {}, el("h3", {}, el("code", {}, this.#name)), this.#now, csv, close);
    const words = el("div", { class: "under" }, this.#extremes, this.#cursor);
    return el("figure", { class: "trend", "data-tag": this.#name }, caption, place, words, this.#note);
  }

  /** Show the last `hours`, as the history has them. */
  async load(hours, now) {
    if (hours !== this.#hours) this.#curve = new Curve((hours * HOUR_S) / POINTS);
    this.#hours = hours;
    this.#loadedAt = now;
    this.#loading?.abort();
    this.#loading = new AbortController();
    const { signal } = this.#loading;
    const note = await this.#fill(now, signal);
    if (!signal.aborted) write(this.#note, note);
  }

  /** Fill the curve; what is to be said about it. */
  async #fill(now, signal) {
    if (!this.#mayAsk) return whyUntold(gettext("Log in to see what was recorded before."));
    try {
      const answer = await fetch(this.#address("history", now, { points: POINTS }), { signal });
      if (!answer.ok) throw new Error(answer.statusText);
      const { points } = await answer.json();
      if (!signal.aborted) this.#curve.fill(points, now / 1000);
      return "";
    } catch {
      return gettext("What was recorded before could not be loaded.");
    }
  }

  #address(what, now, asked = {}) {
    const span = now && { from: new Date(now - 1000 * HOUR_S * this.#hours).toISOString(), to: new Date(now).toISOString() };
    return `${this.#api}/${what}?${new URLSearchParams({ tag: this.#name, ...span, ...asked })}`;
  }

  /** Take what the tag holds now; also while nobody looks at the page. */
  take(tag) {
    if (tag.read_at) this.#curve.take(Date.parse(tag.read_at) / 1000, tag.value, tag.old_after_s);
  }

  render(tag, machine) {
    const [now, quality] = [machine.now(), machine.quality(tag)];
    if (tag.interval_s < FAST_S && now - this.#loadedAt > 1000 * RELOAD_S) this.load(this.#hours, now);
    if (quality !== "good") this.#curve.lose(Date.parse(tag.read_at ?? "") / 1000 || now / 1000);
    this.#tag = tag;
    const [from, to] = [now / 1000 - HOUR_S * this.#hours, now / 1000];
    write(this.#now, quality === "good" ? saidOf(tag) : relied(quality, tag, now - Date.parse(tag.read_at)));
    this.#now.dataset.quality = quality;
    write(this.#extremes, this.#range(this.#curve.extremes(from)));
    this.#chart.draw(tag, this.#curve.columns(from, to), from, to);
  }

  #range(extremes) {
    const hours = this.#hours;
    if (!extremes) {
      return interpolate(ngettext("Nothing recorded in the last hour.", "Nothing recorded in the last %s hours.", hours), [hours]);
    }
    const text = ngettext(
      "Lowest %(low)s, highest %(high)s in the last hour.",
      "Lowest %(low)s, highest %(high)s in the last %(hours)s hours.",
      hours,
    );
    const [low, high] = [saidOf(this.#tag, extremes.low), saidOf(this.#tag, extremes.high)];
    return interpolate(text, { low, high, hours }, true);
  }

  #say(point) {
    write(this.#cursor, point ? reading(this.#tag, point) : "");
  }

  close() {
    this.#loading?.abort();
    this.#chart.close();
    this.element.remove();
  }
}

/** What a tag held at a moment; where a point stands for several readings, between what. */
function reading(tag, { at, low, high, value }) {
  const said = { at: moment(new Date(1000 * at)) };
  if (value === null || value === undefined) return interpolate(gettext("%(at)s: not read"), said, true);
  [said.value, said.low, said.high] = [value, low, high].map((number) => saidOf(tag, number));
  const text = low === high ? gettext("%(at)s: %(value)s") : gettext("%(at)s: %(value)s, between %(low)s and %(high)s");
  return interpolate(text, said, true);
}
