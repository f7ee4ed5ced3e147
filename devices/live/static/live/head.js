// Which PLC this is, and whether it can be worked with: its state, why, since when.

import { timeAt } from "./ages.js";
import { el, pill, refill } from "./elements.js";
import { PLC_STATES, describe, stateOf } from "./words.js";

export class Head {
  #places;
  #profile;
  #shows = "";

  /** `places`: the elements `title`, `about` and `state`; `profile`: where the admin shows the PLC's profile; empty for who may not look at it there. */
  constructor(places, profile) {
    this.#places = places;
    this.#profile = profile;
  }

  /** Rebuilt only if what it shows has changed. */
  render({ plc }) {
    const shows = JSON.stringify(plc);
    if (shows === this.#shows) return;
    this.#shows = shows;
    this.#places.title.textContent = plc.title || plc.name;
    refill(this.#places.about, ...about(plc, this.#profile));
    this.#places.state.dataset.state = stateOf(plc);
    this.#places.state.replaceChildren(...state(plc));
  }
}

function about({ name, title, area, profile }, address) {
  return [
    title ? el("code", {}, name) : "",
    area ? el("span", { class: "area" }, area) : "",
    address ? el("a", { href: address, class: "profile" }, profile) : el("span", { class: "profile" }, profile),
  ].filter((child) => child !== "");
}

function state(plc) {
  const mark = gettext("Gave a wrong answer, have it looked at: %s");
  const said = plc.state === "disabled" ? gettext("Switched off in Admin: it is neither read nor told anything.") : plc.reason;
  return [
    pill(describe(PLC_STATES, stateOf(plc))),
    plc.since ? timeAt(plc.since, "since") : "",
    plc.next_try_at ? timeAt(plc.next_try_at, "next") : "",
    said ? el("p", { class: "reason" }, said) : "",
    plc.mark ? el("p", { class: "reason mark" }, interpolate(mark, [plc.mark])) : "",
  ].filter((child) => child !== "");
}
