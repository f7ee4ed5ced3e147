"""Finds texts in scripts and templates that nobody can translate. Reads them roughly, as a person skims a page."""

import re

_STRING = r'"(?:\\.|[^"\\\n])*"'
_TEXT = rf"{_STRING}|`(?:\\.|[^`\\])*`"
_COMMENT = r"//[^\n]*|/\*.*?\*/"
_MARKED = rf"\bn?gettext\(\s*{_STRING}(?:\s*,\s*{_STRING})?"
_NO_WORDS = (  # what a literal says that stands after this is for the browser or an engineer
    r"(?:\b(?:class|role|type|viewBox)\"?: |classList\.\w+\(|querySelector(?:All)?\(|closest(?:\?\.)?\(|matches\("
    r"|createElement(?:NS)?\(|addEventListener\(|new Error\(|from |import )\s*$"
)
_LEXICON = re.compile(rf"(?P<skip>{_COMMENT}|{_MARKED})|(?P<text>{_TEXT})", re.DOTALL)
_SENTENCE = re.compile(r"[A-Za-z]{2,}[,;]? [A-Za-z]{2,}|^[A-Z][a-z]+[.:!?…]?$|[A-Za-z]{2,}[.!?…]$")
# The places of a text on a page: the first child of an element, and what stands in one.
_PLACE = re.compile(r"(?:\bel\(\s*\"[\w-]+\",\s*\{[^{}]*\},|\.textContent =|\.title =|\.replaceChildren\()\s*$")
_KEYS = {"Escape", "Enter", "Tab", "Home", "End"}
"""Of a keyboard, as a browser calls them."""


def in_script(source: str) -> list[str]:
    """Texts of a script that people would read in English whatever their language."""
    found = []
    for token in _LEXICON.finditer(source):
        if not (literal := token["text"]):
            continue
        words = re.sub(r"\$\{[^}]*\}", "", literal[1:-1])
        before = source[max(0, token.start() - 200) : token.start()]
        is_shown = bool(_PLACE.search(before)) and bool(re.search("[A-Za-z]", words))
        reads_as_text = bool(_SENTENCE.search(words)) and not re.search(_NO_WORDS, before) and words not in _KEYS
        if is_shown or reads_as_text:
            found.append(literal)
    return found


def in_template(source: str) -> list[str]:
    """The same of a template."""
    marked = (
        r"\{% blocktranslate.*?%\}.*?\{% endblocktranslate %\}|\{[%#].*?[%#]\}|\{\{.*?\}\}|<!--.*?-->|<!doctype html>"
    )
    bare = re.sub(marked, "", source, flags=re.DOTALL)
    bare = re.sub(r"\sdata-[\w-]+(=\"[^\"]*\")?", "", bare)
    shown = re.findall(r"(?:^|>)([^<>]+)(?:<|$)", bare)
    attributes = re.findall(r"\b(?:alt|title|placeholder|aria-label)=\"([^\"]*)\"", bare)
    return [text.strip() for text in (*shown, *attributes) if re.search("[A-Za-z]", text)]
