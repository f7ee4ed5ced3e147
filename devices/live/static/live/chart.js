// One curve on a canvas, in the page's colours.

import uPlot from "../vendor/uplot/uPlot.esm.js";
import { heldOf, labelOf } from "./held.js";

const FONT_REM = 0.8;
const WHOLE_STEPS = [1, 2, 5].flatMap((step) => Array.from({ length: 16 }, (_, power) => step * 10 ** power));
const MOST_NAMES = 8; // beside a chart
const TOGETHER = "trends"; // the cursors of all charts move as one

WHOLE_STEPS.sort((one, other) => one - other);

const dark = matchMedia("(prefers-color-scheme: dark)");
const hourFormat = new Intl.DateTimeFormat(document.documentElement.lang, { timeStyle: "short", hourCycle: "h23" });

export class Chart {
  #place;
  #onCursor;
  #plot = null;
  #tag = null;
  #drawn = null;
  #size;

  /** Fills `place`, whatever its size; `onCursor({at, low, high, value})` of what is under the cursor, or null. */
  constructor(place, onCursor) {
    this.#place = place;
    this.#onCursor = onCursor;
    this.#size = new ResizeObserver(() => this.#build());
    this.#size.observe(place);
    dark.addEventListener("change", this.#build);
  }

  /** `columns` of a Curve of this tag, from and to which moment. */
  draw(tag, columns, from, to) {
    const isSame = this.#tag && describe(this.#tag) === describe(tag);
    this.#tag = tag;
    this.#drawn = { columns, from, to };
    if (this.#plot && isSame) this.#plot.setData(columns);
    else this.#build();
  }

  close() {
    this.#size.disconnect();
    dark.removeEventListener("change", this.#build);
    this.#plot?.destroy();
    this.#plot = null;
  }

  #build = () => {
    const { clientWidth: width, clientHeight: height } = this.#place;
    if (!this.#drawn || !width || !height) return;
    this.#plot?.destroy();
    this.#plot = new uPlot({ width, height, ...this.#options() }, this.#drawn.columns, this.#place);
  };

  #options() {
    const looks = new Looks();
    const shown = { stroke: looks.line, width: 2, paths: uPlot.paths.stepped({ align: 1 }), points: { show: false } };
    const edge = { ...shown, stroke: looks.band, width: 1 };
    return {
      legend: { show: false },
      padding: [looks.em, 2 * looks.em, 0, 0],
      cursor: { y: false, drag: { x: false, y: false }, sync: { key: TOGETHER }, dataIdx: heldAt },
      scales: { x: { range: () => [this.#drawn.from, this.#drawn.to] }, y: { range: rangeOf(this.#tag) } },
      axes: [looks.axis({ values: moments, size: 2 * looks.em, space: 5 * looks.em }), looks.axis({ ...upright(this.#tag, looks), ...looks.unit(this.#tag) })],
      series: [{}, edge, edge, shown],
      bands: [{ series: [2, 1], fill: looks.band }],
      hooks: { setCursor: [(plot) => this.#onCursor(under(plot))] },
    };
  }
}

function describe({ type, unit, labels }) {
  return JSON.stringify([type, unit, labels]);
}

/** The style sheet's tokens, as a canvas needs them. */
class Looks {
  #style = getComputedStyle(document.documentElement);
  em = FONT_REM * parseFloat(this.#style.fontSize);
  line = this.#token("--accent");
  band = this.#token("--band");

  #token(name) {
    return this.#style.getPropertyValue(name).trim();
  }

  /** Of the upright axis; none takes no room. */
  unit({ unit }) {
    return unit ? { label: unit, labelFont: this.#font, labelSize: 1.4 * this.em, labelGap: 0 } : {};
  }

  get #font() {
    return `${this.em}px ${this.#token("--sans")}`;
  }

  axis(own) {
    const rule = { stroke: this.#token("--line"), width: 1 };
    return { stroke: this.#token("--ink-soft"), font: this.#font, grid: rule, ticks: { ...rule, size: this.em / 2 }, gap: 4, ...own };
  }
}

/** The point whose value holds at the cursor: the last one before it, if there is one. */
function heldAt(plot, series, closest, at) {
  if (plot.data[0][closest] <= at) return closest;
  return closest > 0 ? closest - 1 : null;
}

function under(plot) {
  if (plot.cursor.left < 0 || plot.cursor.idx === null) return null;
  const at = plot.posToVal(plot.cursor.left, "x");
  const place = heldAt(plot, 1, plot.cursor.idx, at);
  const [, low, high, value] = plot.data.map((column) => column[place] ?? null);
  return { at, low, high, value };
}

function moments(plot, splits) {
  return splits.map((at) => hourFormat.format(1000 * at));
}

function rangeOf(tag) {
  if (tag.type === "bool") return () => [-0.2, 1.2];
  return (plot, low, high) => {
    if (low === null) return [0, 1];
    const room = (high - low) * 0.1 || Math.max(1, Math.abs(high) * 0.1);
    // What is never negative begins at the foot.
    return [low < 0 ? low - room : Math.max(low - room, -room / 4), high + room];
  };
}

function upright(tag, looks) {
  const isFloat = tag.type.startsWith("float") || tag.scale !== 1 || !Number.isInteger(tag.offset);
  const named = namedOf(tag);
  return {
    values: (plot, splits) => splits.map((value) => nameOf(tag, value)),
    size: (plot, names) => looks.em * (1.5 + 0.6 * Math.max(3, ...(names ?? []).map((name) => name.length))),
    ...(isFloat ? {} : { incrs: WHOLE_STEPS }),
    ...(named && { splits: (plot, axis, low, high) => within(named, low, high) }),
  };
}

/** The values that have names, if there is room for all of them. */
function namedOf({ type, labels, scale, offset }) {
  if (type === "bool") return [0, 1];
  const named = Object.keys(labels).map((raw) => raw * scale + offset);
  return named.length && named.length <= MOST_NAMES ? named.sort((one, other) => one - other) : null;
}

function within(named, low, high) {
  const seen = named.filter((value) => low <= value && value <= high);
  return seen.length ? seen : [Math.ceil(low), Math.floor(high)];
}

function nameOf(tag, value) {
  return labelOf(tag, value) || heldOf({ ...tag, value });
}
