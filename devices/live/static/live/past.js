// What the PLC was told: its runs, newest first, each with its steps; those of a running one as they happen.

import { NoAnswer, call, isGood, whyNot } from "./calls.js";
import { el } from "./elements.js";
import { Rows } from "./rows.js";
import { Runs } from "./runs.js";
import { Steps } from "./steps.js";

const MORE = 30; // runs at a time

export class Past {
  #queue;
  #none;
  #table;
  #older;
  #said;
  #rows;
  #name;
  #mayAsk;
  #machine = null;
  #known = new Runs();
  #limit = MORE;
  #isAll = false;
  #steps = new Map();
  #running = null;

  /** `section` has the table; `name` of the PLC, `records` as Rows take it, `mayAsk`: the API answers the person. */
  constructor(section, { name, records, mayAsk }) {
    this.#name = name;
    this.#mayAsk = mayAsk;
    this.#queue = section.querySelector(".queue");
    this.#none = section.querySelector(".empty");
    this.#table = section.querySelector("table");
    this.#older = section.querySelector(".older");
    this.#said = section.querySelector(".said-of-all");
    this.#older.addEventListener("click", () => this.#loadOlder());
    const lead = (run) => this.#stepsOf(run).cell;
    const under = (run, row) => this.#under(run, row);
    this.#rows = new Rows(section.querySelector("tbody"), records, { lead, under });
  }

  render(machine) {
    this.#machine = machine;
    this.#take(machine.runs);
    const shown = this.#known.newest().slice(0, this.#limit);
    this.#followRunning(shown);
    this.#rows.render({ plc: () => null }, shown);
    this.#prune(shown);
    this.#none.hidden = shown.length > 0;
    this.#table.hidden = !shown.length;
    this.#older.hidden = !this.#mayAsk || this.#isAll || shown.length < MORE;
    tellQueue(this.#queue, machine.runs);
  }

  /** The machine has all of the newest: what is as new and not among them was removed, or is of a replaced database. */
  #take(newest) {
    const oldest = newest.at(-1)?.id ?? 0;
    const ids = new Set(newest.map((run) => run.id));
    this.#known.keepOnly(new Set(this.#known.newest().map(({ id }) => id).filter((id) => id < oldest || ids.has(id))));
    for (const run of newest) this.#known.take(run);
  }

  /** The steps of what runs now are open, until the next one runs; unless somebody has opened or closed them. */
  #followRunning(shown) {
    const running = shown.find((run) => run.state === "running");
    if (!running || running.id === this.#running) return;
    const before = this.#steps.get(this.#running);
    if (before && !before.isTouched) before.isOpen = false;
    this.#running = running.id;
    const steps = this.#stepsOf(running);
    if (!steps.isTouched) steps.isOpen = true;
  }

  #stepsOf(run) {
    const known = this.#steps.get(run.id);
    if (known) return known;
    const steps = new Steps(run, { mayAsk: this.#mayAsk, onChange: () => this.#rerender() });
    this.#steps.set(run.id, steps);
    return steps;
  }

  #rerender() {
    if (this.#machine) this.render(this.#machine);
  }

  #under(run, row) {
    const steps = this.#stepsOf(run);
    steps.render(run, this.#machine.traces.get(run.id), this.#machine.tags);
    this.#offerCancel(run, row);
    return steps.row;
  }

  /** A run that waits can be withdrawn: the machine is not told. */
  #offerCancel(run, row) {
    const isOffered = run.state === "queued" && this.#machine.mayRun(run.command);
    if (isOffered && !row.querySelector(".withdraw")) row.querySelector(".state").append(" ", withdrawButton(run));
  }

  async #loadOlder() {
    this.#older.setAttribute("aria-disabled", "true");
    this.#said.textContent = "";
    try {
      const before = this.#known.newest()[this.#limit - 1]?.id;
      const address = `/api/runs?plc=${encodeURIComponent(this.#name)}&limit=${MORE}${before ? `&before=${before}` : ""}`;
      this.#takeOlder(await call(address));
    } catch (error) {
      if (!(error instanceof NoAnswer)) throw error;
      this.#said.textContent = gettext("The gateway did not answer.");
    }
    this.#older.removeAttribute("aria-disabled");
  }

  #takeOlder(answer) {
    if (!isGood(answer)) {
      this.#said.textContent = whyNot(answer);
      return;
    }
    const { runs, next } = answer.content;
    for (const run of runs) this.#known.take(run);
    this.#limit += MORE;
    this.#isAll = next === null;
    const amount = ngettext("%s older run is shown.", "%s older runs are shown.", runs.length);
    this.#said.textContent = interpolate(amount, [runs.length]);
    this.#rerender();
  }

  /** A page that hangs on a wall for a year keeps what it shows, no more. */
  #prune(shown) {
    const ids = new Set(shown.map((run) => run.id));
    this.#known.keepOnly(ids);
    for (const id of this.#steps.keys()) if (!ids.has(id)) this.#steps.delete(id);
  }
}

function tellQueue(place, runs) {
  const waiting = runs.filter((run) => run.state === "queued").length;
  const amount = ngettext("%s run waits for its turn", "%s runs wait for their turn", waiting);
  const text = waiting ? interpolate(amount, [waiting]) : "";
  if (place.textContent !== text) place.textContent = text;
}

function withdrawButton(run) {
  const button = el("button", { type: "button", class: "act" }, gettext("Cancel"));
  const told = el("span", { class: "told", role: "status" });
  button.setAttribute("aria-label", interpolate(gettext("Cancel run %s"), [run.id]));
  button.addEventListener("click", async () => (told.textContent = await withdraw(run)));
  return el("span", { class: "withdraw" }, button, " ", told);
}

/** What went wrong, empty if nothing: that it is withdrawn, its news tell. */
async function withdraw(run) {
  try {
    const answer = await call(`/api/runs/${run.id}/cancel`, { method: "POST" });
    return isGood(answer) ? "" : whyNot(answer);
  } catch (error) {
    if (!(error instanceof NoAnswer)) throw error;
    return gettext("The gateway did not answer; try again.");
  }
}
