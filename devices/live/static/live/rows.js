// The newest runs: a table, which the style sheet turns into stacked cards on a phone.

import { arrange, el, pill, plcLink, refill } from "./elements.js";
import { RUN_STATES, advice, describe, duration, moment, values } from "./words.js";
import { timeOf } from "./ages.js";

export class Rows {
  #body;
  #records;
  #more;
  #rows = new Map();

  /**
   * `records`: the address under which the admin shows a run, or empty. `more`: where all runs are of one PLC, which
   * need not be told; its `lead(run)` is the first cell of a run's row, its `under(run, row)` the row below.
   */
  constructor(body, records, more = null) {
    this.#body = body;
    this.#records = records;
    this.#more = more;
  }

  /** Show these runs of the board. */
  render(board, runs) {
    arrange(
      this.#body,
      runs.flatMap((run) => this.#rowsOf(run, board.plc(run.plc))),
    );
    const ids = new Set(runs.map((run) => run.id));
    for (const id of this.#rows.keys()) if (!ids.has(id)) this.#rows.delete(id);
  }

  #rowsOf(run, plc) {
    const row = this.#row(run, plc);
    return this.#more ? [row, this.#more.under(run, row)] : [row];
  }

  /** The row of a run; filled anew only if what it shows has changed. */
  #row(run, plc) {
    const shows = JSON.stringify([run.version, run.accepted_at, plc?.title]);
    const row = el("tr", { role: "row", id: `run-${run.id}`, "data-run": run.id });
    const known = this.#rows.get(run.id) ?? { row };
    if (known.shows !== shows) {
      known.shows = shows;
      known.row.dataset.state = run.state;
      known.row.dataset.tone = describe(RUN_STATES, run.state).tone;
      refill(known.row, ...this.#cells(run, plc));
      this.#rows.set(run.id, known);
    }
    return known.row;
  }

  #cells(run, plc) {
    const ofPLC = cell("plc", title(run, plc), plc?.title ? el("code", {}, run.plc) : "");
    const state = cell("state", pill(describe(RUN_STATES, run.state)));
    return [
      ...(this.#more ? [this.#more.lead(run), state] : [state, ofPLC]),
      cell("command", el("code", {}, run.command), el("span", {}, values(run.parameters))),
      cell("outcome", ...outcome(run)),
      cell("when", timeOf(run), el("span", {}, moment(new Date(run.accepted_at)))),
      cell("who", el("span", { class: "caller" }, run.caller), this.#number(run)),
    ];
  }

  #number(run) {
    const text = interpolate(gettext("run %s"), [run.id]);
    return this.#records
      ? el("a", { class: "number", href: `${this.#records}${run.id}/change/` }, text)
      : el("span", { class: "number" }, text);
  }
}

/** The title of the PLC, and the way to its page unless it is no longer registered. */
function title(run, plc) {
  return el("strong", {}, plc ? plcLink(plc.name, plc.title || plc.name) : run.plc);
}

export function cell(name, ...children) {
  // Spaces between them: where a line may break, and what is copied with the text.
  const spaced = children.filter((child) => child !== "").flatMap((child) => [child, " "]);
  return el("td", { role: "cell", class: name }, ...spaced.slice(0, -1));
}

/** What came of it; on one line where there is room, in the order of its weight. */
function outcome(run) {
  const took = duration(run);
  const isLook = describe(RUN_STATES, run.state).tone === "look";
  const found = values(run.result);
  const isTold = run.state === "succeeded" && found;
  const hint = advice(run);
  return [
    isLook ? el("span", { class: "advice", "data-tone": "look" }, hint) : "",
    found ? el("span", { class: "result" }, found) : "",
    run.detail && !isTold ? el("span", { class: "detail" }, run.detail) : "",
    hint && !isLook ? el("span", { class: "advice" }, hint) : "",
    took ? el("span", { class: "took" }, interpolate(gettext("Took %s."), [took])) : "",
  ];
}
