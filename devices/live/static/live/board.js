// What is known of PLCs and their runs.

import { ServerClock } from "./clock.js";
import { lockOutOf } from "./locked.js";
import { Runs } from "./runs.js";

export const SHOWN = 50; // runs

const order = new Intl.Collator(undefined, { numeric: true }); // Line 2 before Line 10

/** Place by place, as one walks through the plant. */
function compare(one, other) {
  const byPlace = !one.area - !other.area || order.compare(one.area, other.area); // those without a place last
  return byPlace || order.compare(one.title || one.name, other.title || other.name);
}

export class Board extends ServerClock {
  plcs = [];
  isConnected = false;
  #runs = new Runs();

  /** Take a whole picture; `isFirst` of a connection: all that is not in it no longer exists. */
  takeSnapshot(snapshot, isFirst) {
    this.tellTime(snapshot.now);
    if (isFirst) this.#runs.keepOnly(new Set(snapshot.runs.map((run) => run.id)));
    this.plcs = snapshot.plcs.sort(compare);
    for (const run of snapshot.runs) this.takeRun(run);
  }

  /** Take one run; false if we know it as well or better. */
  takeRun(run) {
    if (!this.#runs.take(run)) return false;
    const plc = this.plc(run.plc);
    if (plc && run.id > (plc.last_run_id ?? 0)) plc.last_run_id = run.id;
    this.#prune();
    return true;
  }

  /** Take a PLC's state. */
  takePLC({ id, ...told }) {
    const plc = this.plcs.find((other) => other.id === id);
    // Disabled is the engineer's word; what an attempt under way still finds out does not change it.
    if (plc && plc.state !== "disabled") Object.assign(plc, told);
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

  /** Who has locked the PLC out for maintenance; null where nobody has. */
  lockOut(plc) {
    return lockOutOf(plc, this.now());
  }

  /** How many runs wait for the PLC. */
  waiting(plc) {
    return this.newest().filter((run) => run.plc === plc.name && run.state === "queued").length;
  }

  /** The runs to show, newest first. */
  newest() {
    return this.#runs.newest().slice(0, SHOWN);
  }

  /** The same of some PLCs only; the last one of each is among them, however long ago it was. */
  newestOf(plcs) {
    const names = new Set(plcs.map((plc) => plc.name));
    const last = plcs.map((plc) => this.#runs.get(plc.last_run_id)).filter(Boolean);
    const runs = new Set([...this.newest().filter((run) => names.has(run.plc)), ...last]);
    return [...runs].sort((one, other) => other.id - one.id).slice(0, SHOWN);
  }

  #prune() {
    if (this.#runs.size <= 2 * SHOWN + this.plcs.length) return;
    const last = this.plcs.map((plc) => plc.last_run_id);
    this.#runs.keepOnly(new Set([...last, ...this.newest().map((run) => run.id)]));
  }
}
