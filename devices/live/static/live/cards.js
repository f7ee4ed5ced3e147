// One card a PLC: its state, and what it did last.

import { arrange, el, pill } from "./elements.js";
import { PLC_STATES, RUN_STATES, advice, describe, stateOf, values } from "./words.js";
import { timeOf } from "./ages.js";

export class Cards {
  #list;
  #cards = new Map();

  constructor(list) {
    this.#list = list;
  }

  render(board) {
    const wanted = board.plcs.map((plc) => this.#card(plc, board.runOf(plc), board.waiting(plc)));
    arrange(this.#list, wanted);
    this.#list.toggleAttribute("data-many", wanted.length > 12);
    const names = new Set(board.plcs.map((plc) => plc.name));
    for (const name of this.#cards.keys()) if (!names.has(name)) this.#cards.delete(name);
  }

  /** The card of a PLC; rebuilt only if what it shows has changed. */
  #card(plc, run, waiting) {
    const shows = JSON.stringify([plc, run?.id, run?.version, run?.accepted_at, waiting]);
    const known = this.#cards.get(plc.name) ?? { card: el("li", { class: "card", "data-plc": plc.name }) };
    if (known.shows !== shows) {
      known.shows = shows;
      known.card.dataset.state = stateOf(plc);
      known.card.dataset.tone = run ? describe(RUN_STATES, run.state).tone : "quiet";
      known.card.replaceChildren(...content(plc, run, waiting));
      this.#cards.set(plc.name, known);
    }
    return known.card;
  }
}

function content(plc, run, waiting) {
  return [
    el("p", { class: "card-state" }, pill(describe(PLC_STATES, stateOf(plc))), el("span", {}, plc.area)),
    el("div", { class: "card-name" }, el("h3", {}, plc.title || plc.name), plc.title ? el("code", {}, plc.name) : ""),
    plc.reason ? el("p", { class: "reason" }, plc.reason) : "",
    plc.mark ? el("p", { class: "reason mark" }, `Gave a wrong answer, have it looked at: ${plc.mark}`) : "",
    run ? lastRun(run, plc.reason, run.state === "running" ? waiting : 0) : el("p", { class: "last none" }, "No run yet"),
  ].filter((child) => child !== "");
}

function lastRun(run, reason, waiting) {
  // What stands above as the PLC's own trouble need not be read twice.
  const isTold = run.state === "succeeded" || (reason && run.detail.includes(reason));
  const state = describe(RUN_STATES, run.state);
  const isLook = state.tone === "look";
  return el(
    "div",
    { class: "last", "data-run": run.id, "data-state": run.state },
    el("p", { class: "last-state" }, pill(state), timeOf(run)),
    el("p", { class: "last-command" }, el("code", {}, run.command), " ", values(run.result) || values(run.parameters)),
    isLook ? el("p", { class: "advice", "data-tone": "look" }, advice(run) || "Look before you repeat") : "",
    isTold ? "" : el("p", { class: "detail", title: run.detail }, run.detail),
    waiting ? el("p", { class: "waiting" }, `${waiting} more waiting`) : "",
  );
}
