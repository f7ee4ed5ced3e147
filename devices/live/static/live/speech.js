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
    const told = { plc: plc?.title || run.plc, command: run.command, state: describe(RUN_STATES, run.state).word };
    this.#waiting.push(interpolate(gettext("%(plc)s: %(command)s, %(state)s"), told, true));
    if (!this.#timer) this.#say();
  }

  #say() {
    this.#timer = null;
    if (!this.#waiting.length) return;
    const last = this.#waiting.at(-1);
    const count = this.#waiting.length;
    const several = ngettext("%(count)s new result; the last: %(last)s", "%(count)s new results; the last: %(last)s", count);
    this.#region.textContent = count === 1 ? last : interpolate(several, { count, last }, true);
    this.#waiting = [];
    this.#timer = setTimeout(() => this.#say(), PAUSE_MS);
  }
}
