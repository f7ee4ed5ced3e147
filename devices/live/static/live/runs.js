// Runs by number, each in its newest version: takes them in any order, and never goes back to an older one.

export class Runs {
  #known = new Map();
  #newest = null;

  get size() {
    return this.#known.size;
  }

  /** Take one run; false if we know it as well or better. */
  take(run) {
    const known = this.#known.get(run.id);
    // Another moment of acceptance: the database was replaced, and numbers began anew.
    const isSame = known && known.accepted_at === run.accepted_at;
    if (isSame && known.version >= run.version) return false;
    this.#known.set(run.id, run);
    this.#newest = null;
    return true;
  }

  get(id) {
    return this.#known.get(id);
  }

  /** All of them, newest first. */
  newest() {
    this.#newest ??= [...this.#known.values()].sort((one, other) => other.id - one.id);
    return this.#newest;
  }

  keepOnly(ids) {
    this.#newest = null;
    for (const id of this.#known.keys()) if (!ids.has(id)) this.#known.delete(id);
  }
}
