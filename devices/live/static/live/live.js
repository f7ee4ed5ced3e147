// The live page: what comes over the connection goes onto the board, what is on the board is drawn.

import { refresh } from "./ages.js";
import { Board } from "./board.js";
import { Cards } from "./cards.js";
import { Connection } from "./connection.js";
import { el, pill } from "./elements.js";
import { Rows } from "./rows.js";
import { Speech } from "./speech.js";
import { CONNECTION_STATES, PLC_STATES, describe, moment, stateOf } from "./words.js";

const TICK_MS = 1000;

const part = (id) => document.getElementById(id);
const board = new Board();
const cards = new Cards(part("cards"));
const rows = new Rows(part("rows"), document.body.dataset.runs);
const speech = new Speech(part("spoken"));
let isDrawing = false;

/** Draw with the next frame: a burst of news is drawn once, a hidden page not at all. */
function draw() {
  if (isDrawing) return;
  isDrawing = true;
  requestAnimationFrame(() => {
    isDrawing = false;
    cards.render(board);
    rows.render(board);
    showAmounts();
    refresh(part("cards"), board.now());
    refresh(part("rows"), board.now());
  });
}

function showAmounts() {
  const amounts = new Map();
  for (const state of board.plcs.map(stateOf)) amounts.set(state, (amounts.get(state) ?? 0) + 1);
  const texts = Object.keys(PLC_STATES).filter((state) => amounts.has(state));
  part("counts").textContent = texts
    .map((state) => `${amounts.get(state)} ${describe(PLC_STATES, state).word.toLowerCase()}`)
    .join(", ");
  const hasRuns = board.newest().length > 0;
  part("no-plcs").hidden = board.plcs.length > 0;
  part("no-runs").hidden = hasRuns;
  part("table").hidden = !hasRuns;
}

function onMessage(message, isFirst) {
  if (message.type === "snapshot") board.takeSnapshot(message, isFirst);
  else if (message.news?.kind === "run") takeRun(message.news.run);
  else if (message.news?.kind === "plc") board.takePLC(message.news.plc);
  draw();
}

function takeRun(run) {
  if (board.takeRun(run)) speech.tell(run, board.plc(run.plc));
}

function onStatus({ name, since }) {
  const state = describe(CONNECTION_STATES, name);
  document.documentElement.dataset.connection = name;
  document.title = name === "live" ? "PLC gateway: live" : `${state.word}: PLC gateway`;
  part("connection").replaceChildren(pill(state));
  part("banner").replaceChildren(...bannerOf(name, since));
}

function bannerOf(name, since) {
  if (name === "lost") return [`Not connected since ${moment(since)}. Trying again; what you see may be out of date.`];
  if (name !== "login") return [];
  return ["You are logged out. ", el("a", { href: document.body.dataset.login }, "Log in again")];
}

function tick() {
  part("clock").textContent = moment(new Date());
  refresh(document, board.now());
}

const scheme = location.protocol === "https:" ? "wss:" : "ws:";
const connection = new Connection(`${scheme}//${location.host}/ws/live/`, { onStatus, onMessage });
onStatus({ name: "connecting", since: null });
connection.start();
tick();
setInterval(tick, TICK_MS);
