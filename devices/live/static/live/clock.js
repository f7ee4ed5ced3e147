// The server's clock: ours may be wrong, and either may be set while a page is open.

export class ServerClock {
  /** Milliseconds by which the server's clock is ahead of ours. */
  #ahead = 0;

  /** The server's time of now. */
  now() {
    return Date.now() + this.#ahead;
  }

  /** Take the server's clock, in ISO 8601. */
  tellTime(now) {
    this.#ahead = Date.parse(now) - Date.now() || 0;
  }
}
