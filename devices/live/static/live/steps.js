// The steps of one run in the history: a button that opens them, and a row under the run's own.

import { NoAnswer, call, isGood, whyNot } from "./calls.js";
import { el } from "./elements.js";
import { cell } from "./rows.js";
import { Timeline } from "./timeline.js";
import { whyUntold } from "./viewer.js";

const COLUMNS = 6; // of the history's table

export class Steps {
  /** The first cell of the run's row. */
  cell;
  /** Below it. */
  row;
  isOpen = false;
  /** Somebody has opened or closed them. */
  isTouched = false;
  #button;
  #timeline = new Timeline();
  #told = el("p", { class: "told", role: "status" });
  #mayAsk;
  #change;
  #recorded = null;
  #isAsking = false;
  #failed = null;

  /** `mayAsk`: the record is told to the person; `onChange()` when there is more to show. */
  constructor(run, { mayAsk, onChange }) {
    this.#mayAsk = mayAsk;
    this.#change = onChange;
    const id = `steps-of-${run.id}`;
    const label = interpolate(gettext("Steps of run %s"), [run.id]);
    this.#button = el("button", { type: "button", class: "disclose", "aria-controls": id, "aria-label": label });
    this.#button.addEventListener("click", () => this.#toggle());
    this.cell = cell("steps", this.#button);
    const content = el("td", { role: "cell", colspan: COLUMNS }, this.#timeline.element, this.#told);
    this.row = el("tr", { role: "row", class: "timeline-row", id }, content);
  }

  /** `trace` is what the page was told of it so far, if anything; `tags` of the PLC, by name. */
  render(run, trace, tags) {
    this.#button.setAttribute("aria-expanded", String(this.isOpen));
    this.row.hidden = !this.isOpen;
    if (!this.isOpen) return;
    const isRecorded = this.#recorded?.version >= run.version && this.#recorded.accepted_at === run.accepted_at;
    if (run.finished_at && !isRecorded && this.#failed !== run.version && this.#mayAsk) this.#ask(run);
    this.#show(run, isRecorded ? this.#recorded.trace : trace, tags);
  }

  #show(run, trace, tags) {
    const isKnown = trace !== undefined || !run.finished_at;
    this.#timeline.element.hidden = !isKnown;
    if (isKnown) this.#timeline.render(trace ?? [], run, tags);
    else if (!this.#mayAsk) this.#told.textContent = whyUntold(gettext("Log in to see the steps of runs that have ended."));
    else if (this.#isAsking) this.#told.textContent = gettext("Loading the steps…");
  }

  /** The record of a run that has ended. */
  async #ask(run) {
    if (this.#isAsking) return;
    this.#isAsking = true;
    const why = await this.#fetch(run);
    this.#isAsking = false;
    this.#failed = why ? run.version : null;
    this.#told.textContent = why;
    this.#change();
  }

  /** Why it was not told; empty if it was. */
  async #fetch(run) {
    try {
      const answer = await call(`/api/runs/${run.id}`);
      if (!isGood(answer)) return whyNot(answer);
      this.#recorded = answer.content;
      return "";
    } catch (error) {
      if (!(error instanceof NoAnswer)) throw error;
      return gettext("The gateway did not answer; close the steps and open them again.");
    }
  }

  #toggle() {
    this.isOpen = !this.isOpen;
    this.isTouched = true;
    this.#failed = null;
    this.#told.textContent = "";
    this.#change();
  }
}
