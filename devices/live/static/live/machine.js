// What is known of one PLC: its state, what its tags hold, and its newest runs with their timelines.

import { ServerClock } from "./clock.js";
import { lockOutOf } from "./locked.js";
import { Runs } from "./runs.js";

export const SHOWN = 30; // runs

const NOTHING = { ask: false, run: [], ceilings: {}, write: false, administer: false };
const WRITE = "write "; // what the writing of a tag is called in the records, and the tag

/** States in which nobody reads the PLC: whatever was read last may have changed since. */
const SILENT = new Set(["offline", "disabled"]);

export class Machine extends ServerClock {
  /** Whether the gateway is heard: without it everything is old. */
  isConnected = false;
  plc = null;
  /** What the person in front of the page may do with the PLC. */
  may = NOTHING;
  /** By name, in the registry's order. */
  tags = new Map();
  /** Steps that were taken, by number of the run. */
  traces = new Map();
  #runs = new Runs();

  /** Newest first. */
  get runs() {
    return this.#runs.newest().slice(0, SHOWN);
  }

  /** Take a whole picture; `isFirst` of a connection: all that is not in it no longer exists. */
  takeSnapshot({ now, plc, tags, runs, trace, may }, isFirst) {
    this.tellTime(now);
    this.may = may ?? NOTHING;
    if (isFirst) this.#forget(new Set(runs.map((run) => run.id)));
    this.plc = plc;
    this.tags = new Map(tags.map((tag) => [tag.name, tag]));
    for (const run of runs) this.#runs.take(run);
    for (const [id, entries] of Object.entries(trace)) this.traces.set(Number(id), entries);
  }

  /** Take one piece of news; false if it says nothing new. */
  takeNews(item) {
    if (item.kind === "run") return this.#takeRun(item.run);
    if (item.kind === "plc") return this.#takePLC(item.plc);
    if (item.kind === "value") return this.#takeValue(item.value);
    if (item.kind === "read") return this.#takeRead(item);
    if (item.kind === "steps") return Boolean(this.traces.set(item.run, item.trace));
    return false;
  }

  /** How far the value of a tag can be relied on: good, old, bad, unread or unpolled. */
  quality(tag) {
    if (tag.reason) return "bad";
    if (!tag.read_at) return tag.interval_s ? "unread" : "unpolled";
    return this.#isOld(tag) ? "old" : "good";
  }

  /** Whether the PLC is being read at all, as far as this page knows. */
  isRead() {
    return this.isConnected && !SILENT.has(this.plc.state);
  }

  /** Who has locked the PLC out for maintenance; null where nobody has. */
  lockOut() {
    return lockOutOf(this.plc, this.now());
  }

  /** The run that is under way; undefined where there is none. */
  running() {
    return this.#runs.newest().find((run) => run.state === "running");
  }

  /** Whether the person may run, and so withdraw, what the records call so. */
  mayRun(command) {
    return command.startsWith(WRITE) ? this.may.write : this.may.run.includes(command);
  }

  #isOld(tag) {
    return !this.isRead() || this.now() - Date.parse(tag.read_at) > 1000 * tag.old_after_s;
  }

  #takeRun(run) {
    if (!this.#runs.take(run)) return false;
    if (this.#runs.size > 2 * SHOWN) this.#forget(new Set(this.runs.map((one) => one.id)));
    return true;
  }

  #takePLC({ id, ...state }) {
    if (id !== this.plc.id) return false;
    Object.assign(this.plc, state);
    return true;
  }

  #takeValue({ name, ...held }) {
    const tag = this.tags.get(name);
    if (tag) Object.assign(tag, held);
    return Boolean(tag);
  }

  /** A whole round was read: what did not come as a change still holds. */
  #takeRead({ interval_s: interval, at }) {
    for (const tag of this.tags.values()) {
      if (tag.interval_s === interval && tag.read_at && !tag.reason) tag.read_at = at;
    }
    return true;
  }

  #forget(kept) {
    this.#runs.keepOnly(kept);
    for (const id of this.traces.keys()) if (!kept.has(id)) this.traces.delete(id);
  }
}
