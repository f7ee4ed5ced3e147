// One card a PLC: its state, and what it did last.

import { el, pill, plcLink, refill } from "./elements.js";
import { LOCKED, heldBy } from "./locked.js";
import { PLC_STATES, RUN_STATES, advice, describe, stateOf, values } from "./words.js";
import { timeAt, timeOf } from "./ages.js";

export class Cards {
  #cards = new Map();

  /** Forget the cards of all other PLCs. */
  keepOnly(names) {
    for (const name of this.#cards.keys()) if (!names.has(name)) this.#cards.delete(name);
  }

  /** The card of a PLC, what it runs, how many wait, who `held` it; rebuilt only if what it shows has changed. */
  card(plc, { run, waiting, held, now }) {
    const shows = JSON.stringify([plc, run?.id, run?.version, run?.accepted_at, waiting, held]);
    const known = this.#cards.get(plc.name) ?? { card: el("li", { class: "card", "data-plc": plc.name }) };
    if (known.shows !== shows) {
      known.shows = shows;
      known.card.dataset.state = stateOf(plc);
      known.card.dataset.tone = run ? describe(RUN_STATES, run.state).tone : "quiet";
      known.card.toggleAttribute("data-locked", held !== null);
      refill(known.card, ...content(plc, run, waiting, held && locked(held, now)));
      this.#cards.set(plc.name, known);
    }
    return known.card;
  }
}

function content(plc, run, waiting, lock) {
  const title = el("h4", {}, plcLink(plc.name, plc.title || plc.name));
  return [
    el(
      "div",
      { class: "card-head" },
      el("div", { class: "card-title" }, title, plc.title ? el("code", {}, plc.name) : ""),
      el("p", { class: "card-state" }, pill(describe(PLC_STATES, stateOf(plc)))),
    ),
    lock ?? "",
    ...trouble(plc),
    run ? lastRun(run, plc.reason, run.state === "running" ? waiting : 0) : noRun(),
  ];
}

/** Somebody works at the machine. */
function locked(held, now) {
  const texts = [el("p", { class: "why", title: held.reason }, held.reason), el("p", { class: "held-by" }, heldBy(held, now))];
  return el("div", { class: "locked", "data-tone": LOCKED.tone }, pill(LOCKED), ...texts);
}

/** Why the PLC cannot be relied on, since when, and what happens next. */
function trouble({ state, reason, since, next_try_at: next, mark }) {
  const isTimed = state === "offline" || state === "degraded";
  const times = isTimed ? [since && timeAt(since, "since"), next && timeAt(next, "next")].filter(Boolean) : [];
  return [
    reason ? el("p", { class: "reason", title: reason }, reason) : "",
    times.length ? el("p", { class: "times" }, ...times.flatMap((time) => [time, " "])) : "",
    mark ? el("p", { class: "reason mark" }, interpolate(gettext("Gave a wrong answer, have it looked at: %s"), [mark])) : "",
  ].filter(Boolean);
}

function noRun() {
  return el("p", { class: "last none" }, gettext("No run yet"));
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
    isLook ? el("p", { class: "advice", "data-tone": "look" }, advice(run)) : "",
    isTold ? "" : el("p", { class: "detail", title: run.detail }, run.detail),
    waiting ? el("p", { class: "waiting" }, waitingText(waiting)) : "",
  );
}

function waitingText(count) {
  return interpolate(ngettext("%s more is waiting", "%s more are waiting", count), [count]);
}
