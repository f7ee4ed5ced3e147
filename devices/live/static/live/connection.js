// The WebSocket: opens again by itself, and knows when it is not to be trusted.

const SILENCE_MS = 6000; // beats come every 2 s
const GLANCE_MS = 1000;
const ANSWER_MS = 1500; // the server closes a page that does not answer its beats
const FIRST_RETRY_MS = 300;
const LONGEST_RETRY_MS = 5000;
const REFUSED_RETRY_MS = 60000;
// Close codes.
const LOG_IN = 4401;
const GONE = 4404;
const CROWDED = 4430;
const REFUSALS = { [LOG_IN]: "login", [GONE]: "gone", [CROWDED]: "crowded" };

export class Connection {
  #url;
  #tell;
  #hear;
  #socket = null;
  #retry = null;
  #tries = 0;
  #heardAt = 0;
  #answeredAt = 0;
  #isInStep = false;
  /** The number of the last frame of this connection. */
  #number = 0;
  #status = { name: "connecting", since: null };

  /**
   * `onStatus({name, since})` at each change: connecting, live, lost, login, gone, crowded. `onMessage(message, isFirst)`, a
   * snapshot or a message with an array `news`; first: the snapshot with which a connection begins.
   */
  constructor(url, { onStatus, onMessage }) {
    this.#url = url;
    this.#tell = onStatus;
    this.#hear = onMessage;
  }

  start() {
    this.#open();
    setInterval(() => this.#glance(), GLANCE_MS);
    addEventListener("online", () => this.#hurry());
    addEventListener("pageshow", (event) => event.persisted && this.#lose());
    document.addEventListener("visibilitychange", () => !document.hidden && this.#hurry());
  }

  #open() {
    clearTimeout(this.#retry);
    this.#retry = null;
    this.#isInStep = false;
    this.#number = 0;
    this.#heardAt = performance.now();
    this.#socket = new WebSocket(this.#url);
    this.#socket.onmessage = (event) => this.#receive(event.data);
    this.#socket.onclose = (event) => this.#lose(event.code);
  }

  #receive(text) {
    this.#heardAt = performance.now();
    const message = parse(text);
    if (message?.type === "beat") this.#beat(message);
    else if (message) this.#pass(message);
    else this.#resync();
  }

  #pass(message) {
    const isSnapshot = message.type === "snapshot";
    // A snapshot makes up for whatever was lost before it.
    if (message.n !== this.#number + 1 && !isSnapshot) this.#resync();
    this.#number = message.n;
    this.#hear(message, isSnapshot && !this.#isInStep);
    if (!isSnapshot) return;
    // Only now, not when the socket opened: a server that accepts and then closes is not to be hammered.
    this.#isInStep = true;
    this.#tries = 0;
    this.#change("live");
  }

  #resync() {
    this.#socket.send('{"type":"resync"}');
  }

  #beat(message) {
    if (this.#isInStep) this.#hear(message, false);
    this.#answer();
  }

  #answer() {
    if (this.#heardAt - this.#answeredAt < ANSWER_MS) return;
    this.#answeredAt = this.#heardAt;
    this.#socket.send('{"type":"reading"}');
  }

  #glance() {
    if (this.#socket && performance.now() - this.#heardAt > SILENCE_MS) this.#lose();
  }

  #lose(code) {
    this.#drop();
    const refusal = REFUSALS[code];
    this.#change(refusal ?? "lost");
    const longest = Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** this.#tries);
    // Spread, so that all pages do not come back in the same moment.
    const delay = refusal ? REFUSED_RETRY_MS : longest * (0.6 + 0.4 * Math.random());
    this.#tries += 1;
    clearTimeout(this.#retry);
    this.#retry = setTimeout(() => this.#open(), delay);
  }

  /** Somebody looks, or the network is back: do not wait for the next try. */
  #hurry() {
    if (this.#retry) this.#open();
  }

  #drop() {
    const socket = this.#socket;
    this.#socket = null;
    if (!socket) return;
    socket.onmessage = socket.onclose = null;
    socket.close();
  }

  #change(name) {
    if (name === this.#status.name) return;
    // Not when we noticed, but when we last heard: what the page shows is from then.
    const heard = new Date(Date.now() - (performance.now() - this.#heardAt));
    this.#status = { name, since: name === "live" ? null : (this.#status.since ?? heard) };
    this.#tell(this.#status);
  }
}

function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
