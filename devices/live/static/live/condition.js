// A condition on a tag as people say it: what was read, and what was wanted. Pure.

import { saidOf } from "./held.js";
import { spoken } from "./words.js";

/** Those that are words, without their spaces. */
const WORDS = { in: gettext("one of"), bitset: gettext("bit set"), bitclear: gettext("bit clear") };
const SIGNS = { "==": "=", "!=": "\u2260", "<=": "\u2264", ">=": "\u2265" };

const either = new Intl.ListFormat(document.documentElement.lang, { type: "disjunction" });

/** `tag` as the page knows it, if it does: then with its unit, and the engineer's word for a number. */
export function found({ phase, read, operator, wanted }, tag) {
  const value = read === null ? gettext("nothing") : said(tag, read);
  if (wanted === undefined || wanted === null) return interpolate(gettext("read %s"), [value]);
  const all = { value, operator: signOf(operator), wanted: wantedOf(operator, wanted, tag) };
  const isError = phase === "fail_if"; // what it names is not hoped for
  const text = isError ? gettext("read %(value)s; an error is %(operator)s %(wanted)s") : gettext("read %(value)s, wanted %(operator)s %(wanted)s");
  return interpolate(text, all, true);
}

/** A value as the table of values writes it. */
export function said(tag, value) {
  if (typeof value === "boolean") return value ? gettext("on") : gettext("off");
  return tag && typeof value === "number" ? saidOf(tag, value) : spoken(value);
}

function wantedOf(operator, wanted, tag) {
  const isBit = squeezed(operator).startsWith("bit"); // a number of a bit is no value of the tag
  const one = (value) => (isBit ? String(value) : said(tag, value));
  return Array.isArray(wanted) ? either.format(wanted.map(one)) : one(wanted);
}

function signOf(operator) {
  const sign = squeezed(operator);
  return WORDS[sign] ?? SIGNS[sign] ?? sign;
}

function squeezed(operator) {
  return String(operator ?? "").replace(" ", "");
}
