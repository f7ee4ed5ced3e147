"""How a caller wants to be answered: under which Idempotency-Key, and after how long a wait (RFC 7240, `Prefer`)."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Self

from django.http import HttpRequest, HttpResponse
from ninja import Query
from pydantic import FiniteFloat

from devices.api import problems
from devices.control.errors import InvalidKey, NotRunning
from devices.control.gateway import current
from devices.control.records import RunRecord
from devices.control.submit import LONGEST_KEY, Reply
from devices.control.waiting import LONGEST_S
from devices.models import State

LOOK_AGAIN_S = 1  # what Retry-After says with a 202: a run that is still open ends soon
JSON = "application/json; charset=utf-8"
REPLAYED = "Idempotency-Replayed"
APPLIED = "Preference-Applied"
WHOLE_SECONDS = re.compile(r"\d{1,4}", re.ASCII)

WAIT_SAYS = "seconds to wait for the run's end; then 202 with `Location`, and the run goes on"
KEY_SAYS = (
    "the caller's own name of this request, visible ASCII; asked again under the same key, nothing is started twice: "
    "the same answer comes back, with `Idempotency-Replayed: true`"
)
PREFER_SAYS = "`respond-async`: 202 with `Location` once the run is stored; `wait=SECONDS` as the query's `wait`"

Wait = Annotated[FiniteFloat | None, Query(ge=0, le=LONGEST_S, description=WAIT_SAYS)]


def _header(name: str, says: str, **more: Any) -> dict[str, Any]:
    return {"in": "header", "name": name, "required": False, "description": says, "schema": {"type": "string", **more}}


def header_parameters(longest_key: int) -> list[dict[str, Any]]:
    """The headers that a call may bring, for the docs."""
    return [
        _header("Idempotency-Key", KEY_SAYS, minLength=1, maxLength=longest_key, pattern="^[!-~]+$"),
        _header("Prefer", PREFER_SAYS),
    ]


HEADER_PARAMETERS = header_parameters(LONGEST_KEY)
HEADERS: dict[str, Any] = {"parameters": HEADER_PARAMETERS}
"""For the docs: ninja is not asked to read them, since a wrong one is a 400."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Calling:
    """What a request says beside its body."""

    key: str | None
    limit_s: float | None
    """How long to wait for the end; None: however long it takes."""
    applied: str
    """The preferences that are followed."""

    @classmethod
    def of(cls, request: HttpRequest, wait: float | None) -> Self:
        """Read the headers; the query's `wait` goes before that of Prefer. What Prefer says wrongly is ignored."""
        preferred = dict(reversed(list(_preferences(request.META.get("HTTP_PREFER", "")))))
        wanted = preferred.get("wait", "")
        preferred_s = min(float(wanted), LONGEST_S) if WHOLE_SECONDS.fullmatch(wanted) else None
        is_async = "respond-async" in preferred
        limit_s = next((limit for limit in (wait, preferred_s, 0.0 if is_async else None) if limit is not None), None)
        followed = ["respond-async"] if is_async else []
        if wait is None and preferred_s is not None:
            followed.append(f"wait={preferred_s:g}")
        return cls(key=_key_of(request), limit_s=limit_s, applied=", ".join(followed))

    def answer(self, reply: Reply) -> HttpResponse:
        """The run's outcome; 202 where it is still open."""
        return self.followed(of_reply(reply))

    def followed(self, response: HttpResponse) -> HttpResponse:
        """The response, saying which preferences it follows."""
        if self.applied:
            response[APPLIED] = self.applied
        return response


def of_reply(reply: Reply) -> HttpResponse:
    """What a single call is answered, but for its preferences."""
    response = _of(reply.run)
    if reply.is_replayed:
        response[REPLAYED] = "true"
    return response


def _of(run: RunRecord) -> HttpResponse:
    if run.state is State.SUCCEEDED:
        return as_json(run.as_json())
    if run.state.is_final:
        return problems.of_run(run, retry_s=_retry_s(run))
    response = as_json(run.as_json(), status=202)
    response["Location"] = problems.address_of_run(run)
    response["Retry-After"] = str(LOOK_AGAIN_S)
    return response


def _retry_s(run: RunRecord) -> float | None:
    try:
        return current().retry_after_s(run)
    except NotRunning:  # the gateway was shut down while this answer was on its way
        return None


def as_json(content: Any, status: int = 200) -> HttpResponse:
    """A good answer, as ninja would send it."""
    return HttpResponse(json.dumps(content).encode(), status=status, content_type=JSON)


def _key_of(request: HttpRequest) -> str | None:
    """Django would make one of two; a proxy that adds its own must not change what a request is called."""
    key: str | None = request.META.get("HTTP_IDEMPOTENCY_KEY")
    headers = () if key is None else getattr(request, "scope", {}).get("headers", ())
    if sum(name.lower() == b"idempotency-key" for name, _ in headers) > 1:
        raise InvalidKey("send one Idempotency-Key, not several")
    return key


def _preferences(header: str) -> Iterator[tuple[str, str]]:
    """Name and value of each; RFC 7240 section 2. Names in small letters, parameters left out."""
    for preference in header.split(",") if header else ():
        name, _, value = preference.partition(";")[0].partition("=")
        yield name.strip().lower(), value.strip().strip('"')
