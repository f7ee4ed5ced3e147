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
  unknown: { word: "Unknown", shape: "ring", tone: "quiet" },
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

/** How long a run took, `0.42 s`: from acceptance to its end. */
export function duration(run) {
  if (!run.finished_at) return "";
  const seconds = (Date.parse(run.finished_at) - Date.parse(run.accepted_at)) / 1000;
  if (!(seconds >= 0)) return "";
  return seconds < 10 ? `${seconds.toFixed(2)}\u00a0s` : span(seconds * 1000);
}
