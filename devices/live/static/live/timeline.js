// What a run did, step by step: when, what was sent, read and wanted, and how its time went by.

import { timeAt } from "./ages.js";
import { found, said } from "./condition.js";
import { el, pill, shape } from "./elements.js";
import { RUN_STATES, describe, lasting } from "./words.js";

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 100; // of a bar, whatever it measures on the page

const PHASES = {
  check: gettext("Check"),
  write: gettext("Write"),
  trigger: gettext("Trigger"),
  wait: gettext("Wait"),
  fail_if: gettext("Fail if"),
  read: gettext("Read"),
  cleanup: gettext("Clean up"),
  proof: gettext("Proof"),
};

export class Timeline {
  element = el("div", { class: "timeline" });
  #list = el("ol");
  #now = el("p", { class: "now" });
  #lines = [];

  constructor() {
    this.element.append(this.#list, this.#now);
  }

  /** Show all lines of a trace so far; those that are there already stay. `tags` of the PLC, by name. */
  render(trace, run, tags) {
    const total = Math.max(0, ...trace.map((entry) => entry.at_ms ?? 0));
    const isAnother = this.#lines.some(({ says }, i) => says !== written(trace[i]));
    if (isAnother) this.#begin();
    for (const entry of trace.slice(this.#lines.length)) this.#add(entry, tags);
    this.#lines.forEach(({ bar }, i) => stretch(bar, i ? (trace[i - 1].at_ms ?? 0) : waited(run), trace[i].at_ms ?? 0, total));
    this.#tellNow(run, trace);
  }

  #begin() {
    this.#lines = [];
    this.#list.replaceChildren();
  }

  #add(entry, tags) {
    const bar = newBar();
    this.#lines.push({ says: written(entry), bar });
    this.#list.append(line(entry, bar, tags.get(entry.tag)));
  }

  /** What it does at this moment, since a step has its line only once it is done. */
  #tellNow(run, trace) {
    const [text, since] = run.finished_at ? [trace.length ? "" : gettext("Nothing was sent to the PLC."), null] : now(run);
    if (this.#now.dataset.says === text) return;
    this.#now.dataset.says = text;
    const state = since ? [pill(describe(RUN_STATES, run.state)), " "] : [];
    const time = since ? [" ", timeAt(since, "open")] : [];
    this.#now.replaceChildren(...state, text, ...time);
  }
}

/** A line to compare; PostgreSQL keeps its fields in an order of its own. */
function written(entry) {
  return JSON.stringify(Object.entries(entry ?? {}).sort());
}

function now(run) {
  if (run.state === "queued") return [gettext("It waits for its turn."), run.accepted_at];
  if (run.triggered_at) return [gettext("The machine was told; its answer is awaited."), run.triggered_at];
  return [gettext("The machine is not told yet."), run.started_at];
}

function line(entry, bar, tag) {
  const isBad = Boolean(entry.error) || entry.is_met === false;
  const at = el("span", { class: "at" }, interpolate(gettext("+%s"), [lasting(entry.at_ms ?? 0)]));
  const says = entry.note === undefined ? step(entry, tag) : [el("span", { class: "note" }, entry.note)];
  const mark = isBad ? shape("cross") : shape("check");
  const kind = isBad ? "bad" : entry.note === undefined ? "good" : "quiet";
  return el("li", { "data-tone": kind }, mark, at, " ", bar, " ", el("span", { class: "says" }, ...spaced(says)));
}

function step(entry, tag) {
  return [
    el("strong", {}, PHASES[entry.phase] ?? String(entry.phase ?? "")),
    el("code", {}, entry.tag ?? ""),
    "sent" in entry ? el("span", {}, interpolate(gettext("sent %s"), [said(tag, entry.sent)])) : "",
    "read" in entry ? el("span", {}, found(entry, tag)) : "",
    entry.error ? el("span", { class: "error" }, entry.error) : "",
  ].filter(Boolean);
}

/** How long it waited for its turn, which is no step's own time. */
function waited(run) {
  return Math.max(0, Date.parse(run.started_at) - Date.parse(run.accepted_at)) || 0;
}

function spaced(parts) {
  return parts.flatMap((part) => [part, " "]).slice(0, -1);
}

/** Drawn, since the page's policy lets no element carry a style. */
function newBar() {
  const svg = document.createElementNS(SVG, "svg");
  const looks = { viewBox: `0 0 ${WIDTH} 10`, preserveAspectRatio: "none", "aria-hidden": "true", class: "bar" };
  for (const [name, value] of Object.entries(looks)) svg.setAttribute(name, value);
  const rect = document.createElementNS(SVG, "rect");
  rect.setAttribute("height", "10");
  svg.append(rect);
  return svg;
}

/** From the end of the step before to its own; the shortest still can be seen. */
function stretch(bar, from, to, total) {
  const scale = total > 0 ? WIDTH / total : 0;
  const width = Math.max(1, (to - from) * scale);
  const rect = bar.firstElementChild;
  rect.setAttribute("width", width.toFixed(2));
  rect.setAttribute("x", Math.min(from * scale, WIDTH - width).toFixed(2));
}
