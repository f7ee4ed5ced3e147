// The page of one PLC: what comes over the connection goes into the machine, what is known of it is drawn.

import { Choice } from "./choice.js";
import { Commands } from "./commands.js";
import { Head } from "./head.js";
import { LockOut } from "./lock_out.js";
import { Machine } from "./machine.js";
import { Page, part } from "./page.js";
import { Past } from "./past.js";
import { Speech } from "./speech.js";
import { Trends } from "./trends.js";
import { Values } from "./values.js";

const { api, mayAsk: asks, plc, profile, runs: records } = document.body.dataset;
const mayAsk = asks !== undefined; // the API answers the person about this PLC
const machine = new Machine();
const speech = new Speech(part("spoken"));
const choice = new Choice(plc, () => page.draw());

const head = new Head({ title: part("title"), about: part("about"), state: part("state") }, profile);
const values = new Values(
  { body: part("tags"), search: part("search"), filter: part("filter"), found: part("found"), none: part("no-tags") },
  choice,
);
const trends = new Trends({ ranges: part("ranges"), list: part("curves"), none: part("no-curves") }, choice, {
  api,
  mayAsk,
  onChange: () => page.draw(),
});
const past = new Past(part("runs"), { name: plc, records, mayAsk });
const commands = mayAsk ? [new Commands(part("commands"), api)] : [];
const lockOut = new LockOut(part("lock-out"), api);
/** Each shows one thing of the machine: `render(machine)`. */
const parts = [head, lockOut, values, trends, ...commands, past];

function draw() {
  for (const shown of parts) shown.render(machine);
}

function take(item) {
  const isNew = machine.takeNews(item);
  if (item.kind === "run" && isNew) speech.tell(item.run, machine.plc);
  if (item.kind === "value" || item.kind === "read") trends.take(machine);
}

const page = new Page(machine, { take, draw, onSnapshot: () => trends.reload() });
page.start();
