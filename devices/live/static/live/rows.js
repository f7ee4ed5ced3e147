// The newest runs: a table, which the style sheet turns into stacked cards on a phone.

import { arrange, el, pill } from "./elements.js";
import { RUN_STATES, advice, describe, duration, moment, values } from "./words.js";
import { timeOf } from "./ages.js";

export class Rows {
  #body;
  #records;
  #rows = new Map();

  /** `records`: the address under which the admin shows a run, or empty. */
  constructor(body, records) {
    this.#body = body;
    this.#records = records;
  }

  render(board) {
    const runs = board.newest();
    arrange(
      this.#body,
      runs.map((run) => this.#row(run, board.plc(run.plc))),
    );
    const ids = new Set(runs.map((run) => run.id));
    for (const id of this.#rows.keys()) if (!ids.has(id)) this.#rows.delete(id);
  }

  /** The row of a run; rebuilt only if what it shows has changed. */
  #row(run, plc) {
    const shows = JSON.stringify([run.version, run.accepted_at, plc?.title]);
    const known = this.#rows.get(run.id) ?? { row: el("tr", { role: "row", "data-run": run.id }) };
    if (known.shows !== shows) {
      known.shows = shows;
      known.row.dataset.state = run.state;
      known.row.dataset.tone = describe(RUN_STATES, run.state).tone;
      known.row.replaceChildren(...this.#cells(run, plc));
      this.#rows.set(run.id, known);
    }
    return known.row;
  }

  #cells(run, plc) {
    return [
      cell("state", pill(describe(RUN_STATES, run.state))),
      cell("plc", el("strong", {}, plc?.title || run.plc), plc?.title ? el("code", {}, run.plc) : ""),
      cell("command", el("code", {}, run.command), el("span", {}, values(run.parameters))),
      cell("outcome", ...outcome(run)),
      cell("when", timeOf(run), el("span", {}, moment(new Date(run.accepted_at)))),
      cell("who", el("span", { class: "caller" }, run.caller), this.#number(run)),
    ];
  }

  #number(run) {
    const text = `run ${run.id}`;
    return this.#records
      ? el("a", { class: "number", href: `${this.#records}${run.id}/change/` }, text)
      : el("span", { class: "number" }, text);
  }
}

function cell(name, ...children) {
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
  const hint = advice(run) || (isLook ? "Look before you repeat" : "");
  return [
    isLook ? el("span", { class: "advice", "data-tone": "look" }, `${hint}.`) : "",
    found ? el("span", { class: "result" }, found) : "",
    run.detail && !isTold ? el("span", { class: "detail" }, run.detail) : "",
    hint && !isLook ? el("span", { class: "advice" }, `${hint}.`) : "",
    took ? el("span", { class: "took" }, `Took ${took}.`) : "",
  ];
}
