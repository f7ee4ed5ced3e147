// The overview: what comes over the connection goes onto the board, what is on the board is drawn through the filter.

import { Board } from "./board.js";
import { Filter } from "./filter.js";
import { FilterBar } from "./filterbar.js";
import { Groups } from "./groups.js";
import { Page, part } from "./page.js";
import { Rows } from "./rows.js";
import { Speech } from "./speech.js";

const board = new Board();
const filter = new Filter(location.search);
const groups = new Groups(part("groups"));
const rows = new Rows(part("rows"), document.body.dataset.runs);
const speech = new Speech(part("spoken"));
const page = new Page(board, { take, draw });
const controls = { states: part("states"), search: part("search"), shown: part("shown"), nothing: part("no-match") };
const bar = new FilterBar(filter, controls, () => page.draw());

function draw() {
  const found = filter.found(board.plcs);
  const shown = filter.chosen(found);
  bar.render(board.plcs, found, shown);
  groups.render(board, shown);
  drawRuns(filter.isActive ? board.newestOf(shown) : board.newest());
  part("no-plcs").hidden = board.plcs.length > 0;
  part("filter").hidden = board.plcs.length === 0 && !filter.isActive;
}

/** The runs follow the filter: a wall screen of one line shows what that line did. */
function drawRuns(runs) {
  rows.render(board, runs);
  part("table").hidden = runs.length === 0;
  part("runs-shown").hidden = !filter.isActive;
  part("no-runs").hidden = filter.isActive || runs.length > 0;
  part("no-runs-shown").hidden = !filter.isActive || runs.length > 0;
}

function take({ kind, run, plc }) {
  if (kind === "plc") board.takePLC(plc);
  else if (kind === "run" && board.takeRun(run)) tell(run, board.plc(run.plc));
}

function tell(run, plc) {
  if (!plc || filter.chosen(filter.found([plc])).length) speech.tell(run, plc);
}

page.start();
