// The PLCs by area, as one walks through the plant; each group with its own counts.

import { arrange, el, shape } from "./elements.js";
import { Cards } from "./cards.js";
import { PLC_STATES, amounts, describe } from "./words.js";

const MANY = 12; // cards on one screen

export class Groups {
  #place;
  #cards = new Cards();
  #groups = new Map();

  constructor(place) {
    this.#place = place;
  }

  /** Show these PLCs of the board, which come sorted by area. */
  render(board, plcs) {
    const sections = [...byArea(plcs)].map(([area, members]) => this.#group(area).render(board, members, this.#cards));
    arrange(this.#place, sections);
    this.#place.toggleAttribute("data-many", plcs.length > MANY);
    this.#forget(board);
  }

  #group(area) {
    if (!this.#groups.has(area)) this.#groups.set(area, new Group(area));
    return this.#groups.get(area);
  }

  #forget(board) {
    this.#cards.keepOnly(new Set(board.plcs.map((plc) => plc.name)));
    const areas = new Set(board.plcs.map((plc) => plc.area));
    for (const area of this.#groups.keys()) if (!areas.has(area)) this.#groups.delete(area);
  }
}

function byArea(plcs) {
  const members = new Map(plcs.map((plc) => [plc.area, []]));
  for (const plc of plcs) members.get(plc.area).push(plc);
  return members;
}

class Group {
  #counts = el("p", { class: "counts" });
  #list = el("ul", { class: "cards" });
  #section;
  #shows = "";

  constructor(area) {
    const title = el("h3", {}, area || gettext("Without an area"));
    this.#section = el("section", { class: "group" }, el("div", { class: "heading" }, title, this.#counts), this.#list);
  }

  render(board, plcs, cards) {
    arrange(
      this.#list,
      plcs.map((plc) => cards.card(plc, { run: board.runOf(plc), waiting: board.waiting(plc), held: board.lockOut(plc), now: board.now() })),
    );
    const counts = [...amounts(plcs)];
    const shows = JSON.stringify(counts);
    if (shows !== this.#shows) this.#counts.replaceChildren(...counts.map(([state, number]) => count(state, number)));
    this.#shows = shows;
    return this.#section;
  }
}

function count(state, number) {
  const { word, shape: name, tone } = describe(PLC_STATES, state);
  return el("span", { class: "count", "data-tone": tone }, shape(name), el("b", {}, number), " ", word);
}
