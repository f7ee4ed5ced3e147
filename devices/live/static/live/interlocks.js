// What a dry run said: each interlock with what was read, and whether it holds.

import { timeAt } from "./ages.js";
import { NoAnswer, call, isGood, whyNot } from "./calls.js";
import { found } from "./condition.js";
import { el, pill } from "./elements.js";

const HOLDS = { word: gettext("Holds"), shape: "check", tone: "good" };
const OPEN = { word: gettext("Open"), shape: "no-entry", tone: "warn" };

/** Read them now: `{isFree, clauses, errors, why}`; `isFree` null where they could not be read, `why` says so then. */
export async function look(address, body, limitMs) {
  const unread = { isFree: null, clauses: [], errors: [] };
  try {
    const answer = await call(`${address}/check`, { method: "POST", body, limitMs });
    if (!isGood(answer)) return { ...unread, errors: answer.content.errors ?? [], why: whyNot(answer) };
    return { isFree: answer.content.is_free, clauses: answer.content.clauses, errors: [], why: "" };
  } catch (error) {
    if (!(error instanceof NoAnswer)) throw error;
    return { ...unread, why: gettext("The gateway did not answer. Nothing was started.") };
  }
}

/** In one sentence. */
export function summary({ isFree, clauses, why }) {
  if (isFree === null) return interpolate(gettext("The interlocks could not be read: %s"), [why]);
  if (!clauses.length) return gettext("This command has no interlocks: nothing stops it now.");
  if (isFree) return gettext("All interlocks hold: nothing stops the command now.");
  return gettext("An interlock is open: the machine would not be told, and the run ends as rejected.");
}

/** One line each, in words and shapes, those that are open first; and when they were read. `tags` of the PLC, by name. */
export function lines({ clauses, at }, tags) {
  if (!clauses.length) return [];
  const byWeight = [...clauses].sort((one, other) => one.is_met - other.is_met);
  const read = el("p", { class: "read" }, timeAt(at, "read"));
  return [el("ul", { class: "interlocks" }, ...byWeight.map((clause) => line(clause, tags.get(clause.tag)))), read];
}

function line(clause, tag) {
  const isMet = clause.is_met;
  const texts = sentences(clause, tag).map((text) => el("span", {}, text));
  return el("li", { "data-met": String(isMet) }, pill(isMet ? HOLDS : OPEN), el("code", {}, clause.tag), el("div", { class: "detail" }, ...texts));
}

/** What was found; before it, of one that is open, the engineer's own words. */
function sentences(clause, tag) {
  if (clause.is_met) return [found(clause, tag)];
  if (clause.phase === "wait") return [clause.detail]; // a fault of the command itself, for its engineer
  const isEarly = clause.phase === "fail_if";
  const early = isEarly ? gettext("The PLC reports an error already: clear it first.") : "";
  return [early, clause.message, found(clause, tag)].filter(Boolean);
}
