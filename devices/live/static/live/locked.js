// That somebody has locked a PLC out for maintenance, in words and a shape.

import { moment } from "./words.js";

export const LOCKED = { word: gettext("Locked out"), shape: "lock", tone: "look" };

/** The lock-out of a PLC that holds at `now`, in milliseconds; null where there is none, or its time is over. */
export function lockOutOf({ lock_out: known }, now) {
  return known && (!known.until || now < Date.parse(known.until)) ? known : null;
}

/** What a lock-out does not stop: a run whose trigger was sent goes on. Empty where nothing is under way. */
export function stillMoving(machine) {
  const run = machine.running();
  const text = gettext("%(command)s (run %(id)s) is still under way: the machine may move.");
  return run ? interpolate(text, { command: run.command, id: run.id }, true) : "";
}

/** Who and until when: `By user eva since 12:00, until 16:00`. */
export function heldBy({ by, since, until }, now) {
  const said = { by, since: moment(new Date(since), new Date(now)), until: until && moment(new Date(until), new Date(now)) };
  const text = until ? gettext("By %(by)s since %(since)s, until %(until)s.") : gettext("By %(by)s since %(since)s, until it is unlocked.");
  return interpolate(text, said, true);
}
