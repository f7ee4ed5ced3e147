// Moments that grow older on the page.

import { el } from "./elements.js";
import { age, moment, span } from "./words.js";

/** How long ago a run ended, or for how long it has been under way. */
export function timeOf(run) {
  const isOpen = !run.finished_at;
  const at = run.finished_at ?? run.started_at ?? run.accepted_at;
  return el("time", { datetime: at, title: moment(new Date(at)), "data-open": isOpen });
}

/** Bring all ages under `root` up to date; `now` is the server's, in milliseconds. */
export function refresh(root, now) {
  for (const time of root.querySelectorAll("time[datetime]")) {
    const ms = now - Date.parse(time.dateTime);
    const text = time.hasAttribute("data-open") ? (span(ms) ? `for ${span(ms)}` : "now") : age(ms);
    if (time.textContent !== text) time.textContent = text;
  }
}
