// What each state is called, its shape and its tone; moments and values as people read them. Pure.

export const RUN_STATES = {
  queued: { word: gettext("Queued"), shape: "hourglass", tone: "quiet" },
  running: { word: gettext("Running"), shape: "play", tone: "busy" },
  succeeded: { word: gettext("Succeeded"), shape: "check", tone: "good" },
  rejected: { word: gettext("Rejected"), shape: "no-entry", tone: "warn" },
  failed: { word: gettext("Failed"), shape: "cross", tone: "bad" },
  expired: { word: gettext("Expired"), shape: "clock", tone: "quiet" },
  cancelled: { word: gettext("Cancelled"), shape: "withdrawn", tone: "quiet" },
  faulted: { word: gettext("Faulted"), shape: "octagon", tone: "bad" },
  timed_out: { word: gettext("Timed out"), shape: "triangle", tone: "look" },
  unknown: { word: gettext("Unknown"), shape: "diamond", tone: "look" },
};

export const PLC_STATES = {
  online: { word: gettext("Online"), shape: "disc", tone: "good" },
  degraded: { word: gettext("Degraded"), shape: "half", tone: "warn" },
  offline: { word: gettext("Offline"), shape: "cut", tone: "bad" },
  "not-reached": { word: gettext("Not reached"), shape: "cut", tone: "warn" },
  unknown: { word: gettext("Not checked"), shape: "ring", tone: "quiet" },
  disabled: { word: gettext("Disabled"), shape: "barred", tone: "quiet" },
};

export const CONNECTION_STATES = {
  connecting: { word: gettext("Connecting"), shape: "hourglass", tone: "quiet" },
  live: { word: gettext("Live"), shape: "disc", tone: "good" },
  lost: { word: gettext("Not connected"), shape: "cut", tone: "bad" },
  login: { word: gettext("Logged out"), shape: "barred", tone: "bad" },
  gone: { word: gettext("Not registered"), shape: "barred", tone: "bad" },
  crowded: { word: gettext("Too many pages"), shape: "barred", tone: "bad" },
};

const ADVICE = {
  safe: gettext("Safe to repeat."),
  after_fix: gettext("Fix it, then repeat."),
  after_reconcile: gettext("Look before you repeat."),
};

/** A state that this page does not know: shown as it is called, and as nothing to rely on. */
export function describe(states, name) {
  return states[name] ?? { word: String(name), shape: "diamond", tone: "look" };
}

/** A PLC's state as it is shown: one that failed just now is not offline yet, and nobody should take it for fine. */
export function stateOf({ state, reason }) {
  return reason && (state === "online" || state === "unknown") ? "not-reached" : state;
}

/** How many PLCs are in each state, in the order of the states. */
export function amounts(plcs) {
  const counts = new Map(Object.keys(PLC_STATES).map((state) => [state, 0]));
  for (const state of plcs.map(stateOf)) counts.set(state, (counts.get(state) ?? 0) + 1);
  return new Map([...counts].filter(([, count]) => count));
}

/** What to do about a run that did not succeed; empty while it runs. */
export function advice(run) {
  const isLook = describe(RUN_STATES, run.state).tone === "look";
  return ADVICE[run.retry] ?? (isLook ? ADVICE.after_reconcile : "");
}

/** Values by name, `batch_size 15, nok_num 3`; a line breaks between them only. */
export function values(named) {
  return Object.entries(named ?? {})
    .map(([name, value]) => `${name}\u00a0${typeof value === "object" ? JSON.stringify(value) : value}`)
    .join(", ");
}

const LANGUAGE = document.documentElement.lang;
// Not `hour12: false`, by which some browsers call midnight 24:00.
const clockFormat = new Intl.DateTimeFormat(LANGUAGE, { timeStyle: "medium", hourCycle: "h23" });
const dayFormat = new Intl.DateTimeFormat(LANGUAGE, { dateStyle: "medium", timeStyle: "medium", hourCycle: "h23" });
const eitherFormat = new Intl.ListFormat(LANGUAGE, { type: "disjunction" });

/** The time of day, with the date unless it is today's, as the page's language writes them. */
export function moment(date, now = new Date()) {
  return (date.toDateString() === now.toDateString() ? clockFormat : dayFormat).format(date);
}

/** `Offline, Degraded, or Unknown`. */
export function either(texts) {
  return eitherFormat.format(texts);
}

/** `12 s ago`. */
export function age(ms) {
  const text = span(ms);
  // Translators: a length of time, as "12 s ago".
  return text ? interpolate(gettext("%s ago"), [text]) : gettext("just now");
}

/** `12 s`; empty below one second. */
export function span(ms) {
  const seconds = Math.floor(ms / 1000);
  if (seconds < 1) return "";
  // Translators: seconds, minutes, hours.
  if (seconds < 60) return interpolate(gettext("%s s"), [seconds]);
  if (seconds < 3600) return interpolate(gettext("%s min"), [Math.floor(seconds / 60)]);
  if (seconds < 48 * 3600) return interpolate(gettext("%s h"), [Math.floor(seconds / 3600)]);
  return interpolate(gettext("%s days"), [Math.floor(seconds / 86400)]);
}

/** How long a run took, `420 ms`: from acceptance to its end. */
export function duration(run) {
  if (!run.finished_at) return "";
  const ms = Date.parse(run.finished_at) - Date.parse(run.accepted_at);
  return ms >= 0 ? lasting(Math.max(1, ms)) : "";
}

/** `3.2 ms`, `420 ms`, `1.4 s`, `2 min`. */
export function lasting(ms) {
  // Translators: milliseconds.
  if (ms < 1000) return interpolate(gettext("%s ms"), [ms < 10 ? +ms.toFixed(1) : Math.round(ms)]);
  return ms < 10_000 ? interpolate(gettext("%s s"), [(ms / 1000).toFixed(1)]) : span(ms);
}

/** A single value as people say it: yes and no, and a text in quotes. */
export function spoken(value) {
  if (typeof value === "boolean") return value ? gettext("yes") : gettext("no");
  return typeof value === "string" ? interpolate(gettext("“%s”"), [value]) : String(value);
}

/** With its unit, if it has one; not to be parted at a line's end. */
export function amount(value, unit) {
  return unit ? `${value}\u00a0${unit}` : String(value);
}
