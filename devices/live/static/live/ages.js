// Moments that grow older on the page.

import { el, write } from "./elements.js";
import { age, moment, span } from "./words.js";

// What is said of the moment `at`, `ms` after it.
const SAYINGS = {
  ago: age,
  // Translators: for how long it has been under way, "for 12 s".
  open: (ms) => (span(ms) ? interpolate(gettext("for %s"), [span(ms)]) : gettext("now")),
  // Not when it changed: a gateway that has just started sees what it holds, not since when.
  held: (ms) => span(ms) || gettext("under 1 s"),
  since: (ms, at) => interpolate(gettext("Since %s."), [moment(at, new Date(at.getTime() + ms))]),
  read: (ms) => interpolate(gettext("Read %s."), [age(ms)]),
  next: (ms) => (span(-ms) ? interpolate(gettext("Next try in %s."), [span(-ms)]) : gettext("Next try now.")),
};

/** A moment in ISO 8601; `says`, one of SAYINGS, is what `refresh` writes of it. */
export function timeAt(at, says = "ago") {
  return el("time", { datetime: at, title: moment(new Date(at)), "data-says": says });
}

/** How long ago a run ended, or for how long it has been under way. */
export function timeOf(run) {
  return timeAt(run.finished_at ?? run.started_at ?? run.accepted_at, run.finished_at ? "ago" : "open");
}

/** Bring all ages under `root` up to date; `now` is the server's, in milliseconds. */
export function refresh(root, now) {
  for (const time of root.querySelectorAll("time[datetime]")) {
    const at = new Date(time.dateTime);
    write(time, SAYINGS[time.dataset.says ?? "ago"](now - at.getTime(), at));
  }
}
