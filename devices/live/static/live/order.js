// One command that a person asked for: sent under a key of its own, so that it starts once however often it is asked.

import { NoAnswer, call, isGood } from "./calls.js";

const FOLLOW_S = 20; // the gateway answers by then, with the run as it is
const AGAIN_MS = 2000;

export class Order {
  /** `sending`, `lost` (nobody knows whether it arrived), `refused` (no run was made) or `taken`. */
  stage = "sending";
  /** Once it is taken. */
  run = null;
  /** Once it is refused: the answer. */
  answer = null;
  #address;
  #body;
  #key;
  #tell;

  /** `onChange()` whenever one of the above changes. */
  constructor(address, body, key, { onChange }) {
    this.#address = address;
    this.#body = body;
    this.#key = key;
    this.#tell = onChange;
  }

  /** Send it, or ask what became of it: under its key that is the same. */
  async send() {
    this.#become({ stage: "sending" });
    try {
      // Not to wait for the end here: the shorter the call, the less can break while nobody knows.
      this.#take(await call(`${this.#address}?wait=0`, { method: "POST", body: this.#body, key: this.#key }));
    } catch (error) {
      if (!(error instanceof NoAnswer)) throw error;
      this.#become({ stage: "lost" });
      return;
    }
    await this.#follow();
  }

  /** Take a newer version of its run, whoever brings it. */
  takeRun(run) {
    if (run?.id !== this.run?.id || run?.accepted_at !== this.run?.accepted_at || !(run?.version > this.run?.version)) return;
    this.#become({ run });
  }

  #take(answer) {
    const run = isGood(answer) ? answer.content : answer.content.run;
    this.#become(run ? { stage: "taken", run } : { stage: "refused", answer });
  }

  async #follow() {
    while (this.run && !this.run.finished_at) {
      try {
        const answer = await call(`/api/runs/${this.run.id}?wait=${FOLLOW_S}`, { limitMs: 2000 * FOLLOW_S });
        if (!isGood(answer)) return; // logged out, or pruned: the history still tells
        this.takeRun(answer.content);
      } catch (error) {
        if (!(error instanceof NoAnswer)) throw error;
        await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
      }
    }
  }

  #become(change) {
    Object.assign(this, change);
    this.#tell();
  }
}
