// What one tag held over time, ready to be drawn: what was recorded, then what was heard since. Pure; times in seconds.

const SETTLED_S = 5; // what is younger may not be recorded yet
const AFTER_S = 0.001; // where a gap begins: right after the last moment that counts

/** A value holds until the next one; null: it was not read from then on. */
function point(at, value, low = value, high = value) {
  return { at, value, low, high };
}

export class Curve {
  #recorded = [];
  #heard = [];
  #heardAt = null;

  /** `bucketS`: what is heard within so many seconds becomes one point, with its lowest and highest value. */
  constructor(bucketS) {
    this.bucketS = bucketS;
  }

  /** Take what the history API answered at `now`; what was heard lately stays. */
  fill(points, now) {
    this.#heard = this.#heard.filter(({ at }) => at > now - SETTLED_S);
    const until = this.#heard[0]?.at ?? Infinity;
    this.#recorded = points
      .map(({ at, value, minimum, maximum }) => point(Date.parse(at) / 1000, numeric(value), minimum, maximum))
      .filter(({ at }) => at < until);
  }

  /** Take a reading; one that comes more than `patienceS` after the one before comes after a gap. */
  take(at, held, patienceS) {
    if (this.#heardAt !== null && at <= this.#heardAt) return;
    const value = numeric(held);
    if (this.#heardAt !== null && at - this.#heardAt > patienceS) this.lose(this.#heardAt);
    this.#heardAt = at;
    if (value === null) this.lose(at);
    else if (value !== this.#last()?.value) this.#add(at, value);
  }

  /** Since that moment nobody knows what it holds. */
  lose(at) {
    const last = this.#last();
    if (last && last.value !== null) this.#heard.push(point(Math.max(at, last.at + AFTER_S), null));
  }

  #add(at, value) {
    const last = this.#heard.at(-1);
    if (!last || last.value === null || !this.#isInOneBucket(last.at, at)) return this.#heard.push(point(at, value));
    Object.assign(last, { value, low: Math.min(last.low, value), high: Math.max(last.high, value) });
  }

  #isInOneBucket(one, other) {
    return Math.floor(one / this.bucketS) === Math.floor(other / this.bucketS);
  }

  #last() {
    return this.#heard.at(-1) ?? this.#recorded.at(-1);
  }

  /** Of the points from `from` on, and the one that held then; those before are dropped. */
  #since(from) {
    const points = [...this.#recorded, ...this.#heard];
    const first = Math.max(0, points.findLastIndex(({ at }) => at <= from));
    this.#recorded = this.#recorded.slice(first);
    this.#heard = this.#heard.slice(Math.max(0, first - (points.length - this.#heard.length)));
    return points.slice(first);
  }

  /** Columns to draw until `now`: moments, lowest, highest and last values. */
  columns(from, now) {
    const columns = [[], [], [], []];
    let held = null;
    for (const one of this.#since(from)) {
      if (one.value === null && held) add(columns, one.at - AFTER_S, held);
      add(columns, one.at, one);
      held = one.value === null ? null : point(one.at, one.value);
    }
    if (held && now > held.at) add(columns, now, held);
    return columns;
  }

  /** The lowest and the highest value since then; null where there is none. */
  extremes(from) {
    const points = this.#since(from).filter(({ value }) => value !== null);
    if (!points.length) return null;
    return { low: Math.min(...points.map(({ low }) => low)), high: Math.max(...points.map(({ high }) => high)) };
  }
}

function add([moments, lows, highs, values], at, { low, high, value }) {
  moments.push(at);
  lows.push(low);
  highs.push(high);
  values.push(value);
}

/** A number to draw; null for what is none: not read, NaN, infinity. */
function numeric(value) {
  if (typeof value === "boolean") return Number(value);
  return Number.isFinite(value) ? value : null;
}
