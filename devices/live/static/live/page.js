// What every page does: it is connected and says whether it is, tells the time, and draws what has changed.

import { refresh } from "./ages.js";
import { Connection } from "./connection.js";
import { el, pill } from "./elements.js";
import { CONNECTION_STATES, describe, moment } from "./words.js";

const TICK_MS = 1000;
const { login, socket, title } = document.body.dataset;

export const part = (id) => document.getElementById(id);

export class Page {
  #state;
  #take;
  #draw;
  #onSnapshot;
  #isFilled = false;
  #isDrawing = false;

  /**
   * `state` is what is known: `now()`, `tellTime(now)`, `takeSnapshot(snapshot, isFirst)`, `isConnected`. `take(item)` is called with
   * each piece of news, `draw()` with the next frame after something came, and each second.
   */
  constructor(state, { take, draw, onSnapshot = () => {} }) {
    this.#state = state;
    this.#take = take;
    this.#draw = draw;
    this.#onSnapshot = onSnapshot;
  }

  start() {
    const scheme = location.protocol === "https:" ? "wss:" : "ws:";
    const connection = new Connection(`${scheme}//${location.host}${socket}`, {
      onStatus: (status) => this.#show(status),
      onMessage: (message, isFirst) => this.#hear(message, isFirst),
    });
    this.#show({ name: "connecting", since: null });
    connection.start();
    this.#tick();
    setInterval(() => this.#tick(), TICK_MS);
  }

  /** Draw with the next frame: a burst of news is drawn once, a hidden page not at all. */
  draw() {
    if (!this.#isFilled || this.#isDrawing) return;
    this.#isDrawing = true;
    requestAnimationFrame(() => {
      this.#isDrawing = false;
      this.#draw();
      refresh(document, this.#state.now());
    });
  }

  #hear(message, isFirst) {
    if (message.type === "snapshot") this.#takeSnapshot(message, isFirst);
    else if (message.type === "beat") this.#state.tellTime(message.now);
    else for (const item of message.news ?? []) this.#take(item);
    this.draw();
  }

  #takeSnapshot(snapshot, isFirst) {
    this.#state.takeSnapshot(snapshot, isFirst);
    this.#isFilled = true;
    this.#onSnapshot();
  }

  #show({ name, since }) {
    const shown = describe(CONNECTION_STATES, name);
    this.#state.isConnected = name === "live";
    document.documentElement.dataset.connection = name;
    document.title = name === "live" ? title : interpolate(gettext("%(state)s: %(title)s"), { state: shown.word, title }, true);
    part("connection").replaceChildren(pill(shown));
    part("banner").replaceChildren(...banner(name, since));
    this.draw();
  }

  #tick() {
    part("clock").textContent = moment(new Date());
    this.draw();
  }
}

function banner(name, since) {
  const lost = gettext("Not connected since %s. Trying again; what you see may be out of date.");
  if (name === "lost") return [interpolate(lost, [moment(since)])];
  const gone = gettext("No PLC is registered under this address any longer.");
  if (name === "gone") return [gone, " ", el("a", { href: "/" }, gettext("See all PLCs"))];
  if (name === "crowded") return [gettext("You have as many pages open as you may: close some. This one tries again each minute.")];
  if (name !== "login") return [];
  return [gettext("You are logged out."), " ", el("a", { href: login }, gettext("Log in again"))];
}
