// Which tags have a trend: kept in this browser, for each PLC.

const FIRST = 2; // recorded tags, until somebody has chosen

/** Whether there is a history of numbers to draw. */
export function canBeDrawn(tag) {
  return tag.is_recorded && tag.type !== "string";
}

export class Choice {
  #key;
  #onChange;
  #names;

  constructor(plc, onChange) {
    this.#key = `trends:${plc}`;
    this.#onChange = onChange;
    this.#names = recall(this.#key);
  }

  /** The chosen of these tags, in their order. */
  of(tags) {
    const drawable = [...tags.values()].filter(canBeDrawn);
    this.#names ??= new Set(drawable.slice(0, FIRST).map((tag) => tag.name));
    return drawable.filter((tag) => this.has(tag));
  }

  has({ name }) {
    return this.#names?.has(name) ?? false;
  }

  toggle(name) {
    if (!this.#names.delete(name)) this.#names.add(name);
    keep(this.#key, [...this.#names]);
    this.#onChange();
  }
}

function recall(key) {
  try {
    const names = JSON.parse(localStorage.getItem(key));
    return Array.isArray(names) ? new Set(names) : null;
  } catch {
    return null; // this browser keeps nothing, or something else has written there
  }
}

function keep(key, names) {
  try {
    localStorage.setItem(key, JSON.stringify(names));
  } catch {
    // It holds until the page is closed.
  }
}
