// What people search for, and what matches it. Pure.

/** Fold letters as people search for them: case, accents and full-width forms aside. */
function fold(text) {
  return text.normalize("NFKD").replace(/\p{Mn}/gu, "").toLowerCase();
}

/** The words of a search, folded. */
export function wordsOf(query) {
  return fold(query).split(/\s+/).filter(Boolean);
}

/** Whether each of these words stands in one of the texts. */
export function hasAll(words, texts) {
  const text = fold(texts.join("\n"));
  return words.every((word) => text.includes(word));
}
