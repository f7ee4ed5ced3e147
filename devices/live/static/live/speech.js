// Tells screen readers about new results: final states only, and not faster than one can listen.

import { RUN_STATES, describe } from "./words.js";

const PAUSE_MS = 4000;

export class Speech {
  #region;
  #waiting = [];
  #timer = null;

  constructor(region) {
    this.#region = region;
  }

  /** Say how a run ended; several that come at once are told as one. */
  tell(run, plc) {
    if (!run.finished_at) return;
    this.#waiting.push(`${plc?.title || run.plc}: ${run.command} ${describe(RUN_STATES, run.state).word}`);
    if (!this.#timer) this.#say();
  }

  #say() {
    this.#timer = null;
    if (!this.#waiting.length) return;
    const last = this.#waiting.at(-1);
    const count = this.#waiting.length;
    this.#region.textContent = count === 1 ? last : `${count} new results; the last: ${last}`;
    this.#waiting = [];
    this.#timer = setTimeout(() => this.#say(), PAUSE_MS);
  }
}
