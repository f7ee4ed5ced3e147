// What is known of PLCs and runs: takes snapshots and news in any order, and never goes back to an older version.

export const SHOWN = 50; // runs

const order = new Intl.Collator(undefined, { numeric: true }); // Line 2 before Line 10

/** Place by place, as one walks through the plant. */
function compare(one, other) {
  return order.compare(one.area, other.area) || order.compare(one.title || one.name, other.title || other.name);
}

export class Board {
  plcs = [];
  #runs = new Map();
  #newest = null;
  /** Milliseconds by which the server's clock is ahead of ours: a wall screen's clock may be wrong. */
  #ahead = 0;

  /** The server's time of now. */
  now() {
    return Date.now() + this.#ahead;
  }

  /** Take a whole picture; `isFirst` of a connection: all that is not in it no longer exists. */
  takeSnapshot(snapshot, isFirst) {
    this.#ahead = Date.parse(snapshot.now) - Date.now() || 0;
    if (isFirst) this.#keepOnly(new Set(snapshot.runs.map((run) => run.id)));
    this.plcs = snapshot.plcs.sort(compare);
    for (const run of snapshot.runs) this.takeRun(run);
  }

  /** Take one run; false if we know it as well or better. */
  takeRun(run) {
    const known = this.#runs.get(run.id);
    // Another moment of acceptance: the database was replaced, and numbers began anew.
    const isSame = known && known.accepted_at === run.accepted_at;
    if (isSame && known.version >= run.version) return false;
    this.#runs.set(run.id, run);
    this.#newest = null;
    const plc = this.plc(run.plc);
    if (plc && run.id > (plc.last_run_id ?? 0)) plc.last_run_id = run.id;
    this.#prune();
    return true;
  }

  /** Take a PLC's state. */
  takePLC({ id, state, reason, mark }) {
    const plc = this.plcs.find((other) => other.id === id);
    // Disabled is the engineer's word; what an attempt under way still finds out does not change it.
    if (plc && plc.state !== "disabled") Object.assign(plc, { state, reason, mark });
  }

  plc(name) {
    return this.plcs.find((plc) => plc.name === name);
  }

  /** What the PLC does now; else what it did last. */
  runOf(plc) {
    // Among the newest only: all of them are in each snapshot, so that none of them stays open by mistake.
    const isNow = (run) => run.plc === plc.name && run.state === "running";
    return this.newest().find(isNow) ?? this.#runs.get(plc.last_run_id);
  }

  /** How many runs wait for the PLC. */
  waiting(plc) {
    return this.newest().filter((run) => run.plc === plc.name && run.state === "queued").length;
  }

  /** The runs to show, newest first. */
  newest() {
    this.#newest ??= [...this.#runs.values()].sort((one, other) => other.id - one.id).slice(0, SHOWN);
    return this.#newest;
  }

  #keepOnly(ids) {
    this.#newest = null;
    for (const id of this.#runs.keys()) if (!ids.has(id)) this.#runs.delete(id);
  }

  #prune() {
    if (this.#runs.size <= 2 * SHOWN + this.plcs.length) return;
    const last = this.plcs.map((plc) => plc.last_run_id);
    this.#keepOnly(new Set([...last, ...this.newest().map((run) => run.id)]));
  }
}
