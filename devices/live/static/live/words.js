// What each state is called, its shape and its tone; moments and values as people read them. Pure.

export const RUN_STATES = {
  queued: { word: "Queued", shape: "hourglass", tone: "quiet" },
  running: { word: "Running", shape: "play", tone: "busy" },
  succeeded: { word: "Succeeded", shape: "check", tone: "good" },
  rejected: { word: "Rejected", shape: "no-entry", tone: "warn" },
  failed: { word: "Failed", shape: "cross", tone: "bad" },
  expired: { word: "Expired", shape: "clock", tone: "quiet" },
  cancelled: { word: "Cancelled", shape: "withdrawn", tone: "quiet" },
  faulted: { word: "Faulted", shape: "octagon", tone: "bad" },
  timed_out: { word: "Timed out", shape: "triangle", tone: "look" },
  unknown: { word: "Unknown", shape: "diamond", tone: "look" },
};

export const PLC_STATES = {
  online: { word: "Online", shape: "disc", tone: "good" },
  offline: { word: "Offline", shape: "cut", tone: "bad" },
  "not-reached": { word: "Not reached", shape: "cut", tone: "warn" },
  unknown: { word: "Not checked", shape: "ring", tone: "quiet" },
  disabled: { word: "Disabled", shape: "barred", tone: "quiet" },
};

export const CONNECTION_STATES = {
  connecting: { word: "Connecting", shape: "hourglass", tone: "quiet" },
  live: { word: "Live", shape: "disc", tone: "good" },
  lost: { word: "Not connected", shape: "cut", tone: "bad" },
  login: { word: "Logged out", shape: "barred", tone: "bad" },
};

const ADVICE = {
  safe: "Safe to repeat",
  after_fix: "Fix it, then repeat",
  after_reconcile: "Look before you repeat",
};

/** A state that this page does not know: shown as it is called, and as nothing to rely on. */
export function describe(states, name) {
  return states[name] ?? { word: String(name), shape: "diamond", tone: "look" };
}

/** A PLC's state as it is shown: one that failed just now is not offline yet, and nobody should take it for fine. */
export function stateOf({ state, reason }) {
  return reason && (state === "online" || state === "unknown") ? "not-reached" : state;
}

/** What to do about a run that did not succeed; empty while it runs. */
export function advice(run) {
  return ADVICE[run.retry] ?? "";
}

/** Values by name, `batch_size 15, nok_num 3`; a line breaks between them only. */
export function values(named) {
  return Object.entries(named ?? {})
    .map(([name, value]) => `${name}\u00a0${typeof value === "object" ? JSON.stringify(value) : value}`)
    .join(", ");
}

const clockFormat = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });
const dayFormat = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" });

/** The time of day, with the date unless it is today's, as the browser's user writes them. */
export function moment(date, now = new Date()) {
  const time = clockFormat.format(date);
  return date.toDateString() === now.toDateString() ? time : `${dayFormat.format(date)}, ${time}`;
}

/** `12 s ago`. */
export function age(ms) {
  const text = span(ms);
  return text ? `${text} ago` : "just now";
}

/** `12 s`; empty below one second. */
export function span(ms) {
  const seconds = Math.floor(ms / 1000);
  if (seconds < 1) return "";
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 48 * 3600) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86400)} days`;
}

/** How long a run took, `420 ms`: from acceptance to its end. */
export function duration(run) {
  if (!run.finished_at) return "";
  const ms = Date.parse(run.finished_at) - Date.parse(run.accepted_at);
  if (!(ms >= 0)) return "";
  if (ms < 1000) return `${Math.max(1, ms)}\u00a0ms`;
  return ms < 10_000 ? `${(ms / 1000).toFixed(1)}\u00a0s` : span(ms);
}
