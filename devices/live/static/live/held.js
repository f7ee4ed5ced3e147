// What a tag holds, as people read it. Pure.

import { age } from "./words.js";

const DIGITS = 6; // a float32 holds 7; the last one is noise
const NOTHING = "\u2013";

export const QUALITIES = {
  good: { word: gettext("Good"), shape: "check", tone: "quiet" },
  old: { word: gettext("Old"), shape: "clock", tone: "warn" },
  bad: { word: gettext("Cannot be read"), shape: "octagon", tone: "bad" },
  unread: { word: gettext("Not read yet"), shape: "hourglass", tone: "quiet" },
  unpolled: { word: gettext("Not polled"), shape: "withdrawn", tone: "quiet" },
};

/** The value as last read: whole numbers whole, others without the noise of their last digits. */
export function heldOf({ value, type }) {
  if (value === null) return NOTHING;
  if (type === "bool") return value ? gettext("on") : gettext("off");
  return typeof value === "number" ? number(value) : String(value);
}

/** The same with its unit, or with the engineer's word for it. */
export function saidOf(tag, value = tag.value) {
  const held = heldOf({ ...tag, value });
  const label = labelOf(tag, value);
  if (label) return interpolate(gettext("%(value)s (%(label)s)"), { value: held, label }, true);
  return tag.unit && value !== null ? `${held}\u00a0${tag.unit}` : held;
}

/** The engineer's word for a number; empty where there is none. */
export function labelOf({ labels, scale, offset }, value) {
  return typeof value === "number" ? (labels[Math.round((value - offset) / scale)] ?? "") : "";
}

export function number(value) {
  if (Number.isInteger(value)) return Number.isSafeInteger(value) ? String(value) : `\u2248\u00a0${value}`;
  const whole = Math.max(1, Math.floor(Math.log10(Math.abs(value))) + 1);
  return String(Number(value.toPrecision(Math.max(DIGITS, whole))));
}

/** How far a value can be relied on, in words; `ms` is how long ago it was read. */
export function relied(quality, { reason }, ms) {
  if (quality === "old") return interpolate(gettext("Old, read %s"), [age(ms)]);
  if (quality === "bad") return interpolate(gettext("Cannot be read: %s"), [reason]);
  return QUALITIES[quality].word;
}
