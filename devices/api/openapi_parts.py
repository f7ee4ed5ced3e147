"""What the OpenAPI documents of all PLCs have in common: schemas, problems, and how a run is asked for and answered."""

from collections.abc import Iterable, Mapping
from functools import cache
from http import HTTPStatus
from typing import Any

from pydantic.json_schema import models_json_schema

from devices.api import problems
from devices.api.answer_headers import ANSWER_HEADERS, LATER, pick
from devices.api.calling import APPLIED, HEADER_PARAMETERS, REPLAYED, WAIT_SAYS
from devices.api.problems import MEDIA_TYPE, Problem
from devices.api.schemas import COMMANDING, ProblemOut, RunOut
from devices.api.tag_schemas import TagOfPLCOut
from devices.control.errors import RunNotQueued, UnknownRun
from devices.control.waiting import LONGEST_S

Part = dict[str, Any]
"""A part of a document."""

JSON = "application/json"
SCHEMAS = "#/components/schemas/"
RESPONSES = "#/components/responses/"

ELSEWHERE = (
    *(problems.REFUSALS[refusal] for refusal in (UnknownRun, RunNotQueued)),
    problems.STATUSES[404],
    problems.NOT_READY,
)
"""Problems that no command and no tag of a PLC meets."""
ENDS = frozenset(problems.OUTCOMES.values())
"""Problems that tell of a run."""


def content(media_type: str, schema: str) -> Part:
    """A body of a common or listed schema."""
    return {media_type: {"schema": {"$ref": SCHEMAS + schema}}}


def problem_refs(statuses: Iterable[int]) -> Part:
    """The problems of these statuses, as an operation's responses name them."""
    return {str(status): {"$ref": f"{RESPONSES}{_response_name(status)}"} for status in statuses}


def run_responses(schema: str) -> Part:
    """All that a run may be answered with, where `schema` is its good end."""
    return {
        "200": {
            "description": "The PLC confirmed",
            "headers": pick(REPLAYED, APPLIED),
            "content": content(JSON, schema),
        },
        "202": STILL_OPEN,
        **problem_refs(COMMANDING),
    }


@cache
def common_schemas() -> Mapping[str, Part]:
    """Runs, problems and tags of any PLC."""
    _, schemas = models_json_schema(
        [(RunOut, "validation"), (ProblemOut, "validation"), (TagOfPLCOut, "validation")],
        ref_template=SCHEMAS + "{model}",
    )
    found: Mapping[str, Part] = schemas["$defs"]
    return found


@cache
def problem_responses() -> Mapping[str, Part]:
    """One of each status; its description lists the codes that stand behind it."""
    kinds = [kind for kind in problems.ALL if kind not in ELSEWHERE]
    return {
        _response_name(status): _problem_response(status, [kind for kind in kinds if kind.status == status])
        for status in COMMANDING
    }


def _problem_response(status: int, kinds: Iterable[Problem]) -> Part:
    codes = [f"`{kind.code}`: {kind.title}" for kind in dict.fromkeys(kinds)]
    response: Part = {
        "description": "; ".join(codes) or HTTPStatus(status).phrase,
        "content": content(MEDIA_TYPE, "ProblemOut"),
    }
    headers = pick(REPLAYED, APPLIED) if any(kind in ENDS for kind in kinds) else {}
    if status in LATER:
        headers |= pick("Retry-After")
    return response | ({"headers": headers} if headers else {})


def _response_name(status: int) -> str:
    return f"Problem{status}"


PARAMETERS: list[Part] = [
    *HEADER_PARAMETERS,
    {
        "in": "query",
        "name": "wait",
        "required": False,
        "description": WAIT_SAYS,
        "schema": {"type": "number", "minimum": 0, "maximum": LONGEST_S},
    },
]
STILL_OPEN: Part = {
    "description": "Stored and still open: the caller wanted to wait no longer",
    "headers": ANSWER_HEADERS,
    "content": content(JSON, "RunOut"),
}
