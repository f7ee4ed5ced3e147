// Which PLCs are shown: those in the chosen states that match the search. It stands in the address, for a wall screen.

import { hasAll, wordsOf } from "./search.js";
import { PLC_STATES, stateOf } from "./words.js";

/** `?state=offline&state=degraded&q=press`. */
export class Filter {
  states = new Set();
  query = "";

  constructor(search) {
    const asked = new URLSearchParams(search);
    for (const state of asked.getAll("state")) if (state in PLC_STATES) this.states.add(state);
    this.query = asked.get("q") ?? "";
  }

  get isActive() {
    return this.states.size > 0 || this.query.trim() !== "";
  }

  toggle(state) {
    if (!this.states.delete(state)) this.states.add(state);
  }

  clear() {
    this.states.clear();
    this.query = "";
  }

  /** Those that match the search, whatever their state: each word of it stands in name, title, area or profile. */
  found(plcs) {
    const words = wordsOf(this.query);
    return plcs.filter(({ name, title, area, profile }) => hasAll(words, [name, title, area, profile]));
  }

  /** Those of `found` that are in a chosen state; all where none is chosen. */
  chosen(found) {
    return this.states.size ? found.filter((plc) => this.states.has(stateOf(plc))) : found;
  }

  /** The page's address with this filter in it; what else stands there stays. */
  address({ pathname, search, hash }) {
    const asked = new URLSearchParams(search);
    asked.delete("state");
    asked.delete("q");
    for (const state of this.states) asked.append("state", state);
    if (this.query.trim()) asked.set("q", this.query.trim());
    return `${pathname}${asked.size ? `?${asked}` : ""}${hash}`;
  }
}
