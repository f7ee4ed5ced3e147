"""Headers of answers that run a command, for both OpenAPI documents."""

from typing import Any

from devices.api.calling import APPLIED, REPLAYED


def _header(says: str, data_type: str) -> dict[str, Any]:
    return {"description": says, "schema": {"type": data_type}}


ANSWER_HEADERS: dict[str, Any] = {
    REPLAYED: _header("`true`: an earlier request under this key started the run, this one started nothing", "string"),
    APPLIED: _header("which of the preferences is followed", "string"),
    "Location": _header("where the run is looked at", "string"),
    "Retry-After": _header("seconds until it is worth asking again", "integer"),
}


LATER = frozenset({429, 503})
"""Statuses that say when it is worth asking again."""


def pick(*names: str) -> dict[str, Any]:
    """Some of them."""
    return {name: ANSWER_HEADERS[name] for name in names}


def with_answer_headers(openapi: dict[str, Any]) -> None:
    """ninja documents no headers of answers: add them to what still runs, and to what is worth asking again."""
    for operations in openapi["paths"].values():
        for operation in operations.values():
            answers = operation["responses"]
            if 202 in answers:
                answers[202]["headers"] = ANSWER_HEADERS
                answers[200]["headers"] = pick(REPLAYED, APPLIED)
            for status in LATER.intersection(answers):
                answers[status]["headers"] = pick("Retry-After")
