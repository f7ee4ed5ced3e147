"""What went wrong, as problem details (RFC 9457): one table from error class or state to status, code and title."""

import json
import logging
import math
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from django.core.exceptions import DisallowedHost, RequestDataTooBig, TooManyFieldsSent
from django.http import HttpRequest, HttpResponse
from django.utils.encoding import escape_uri_path
from django.utils.html import format_html
from django.utils.text import slugify

from devices.control import errors
from devices.control.records import RunRecord
from devices.models import State
from devices.plc.interlocks import Clause
from devices.plc.trace import storable

logger = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
TYPE = "tag:plc-gateway,2026:"  # a name, not an address (RFC 9457 section 3.1.1); docs/problems.md explains each
SOON_S = 5  # a machine or a gateway that is restarted needs about as long
LATER_S = 60  # where a person has to act first


@dataclass(frozen=True, slots=True)
class Problem:
    """A kind of problem, as callers tell it apart."""

    status: int
    code: str
    """The last part of `type`."""
    title: str
    retry_s: float | None = None
    """What Retry-After says; an error that knows better overrules it."""


REFUSALS: dict[type[Exception], Problem] = {
    errors.UnknownPLC: Problem(404, "unknown-plc", "No such PLC"),
    errors.UnknownTag: Problem(404, "unknown-tag", "The PLC has no such tag"),
    errors.TagNotWritable: Problem(409, "tag-not-writable", "The tag cannot be written"),
    errors.TagNotReadable: Problem(502, "tag-not-readable", "The PLC does not tell this tag"),
    errors.UnknownCommand: Problem(404, "unknown-command", "The PLC has no such command"),
    errors.UnknownRun: Problem(404, "unknown-run", "No such run"),
    errors.InvalidParameters: Problem(422, "invalid-parameters", "One or more values are wrong"),
    errors.NotPermitted: Problem(403, "not-permitted", "You may not do this here"),
    errors.AboveCeiling: Problem(403, "above-ceiling", "A value is above what you may ask for"),
    errors.PLCLockedOut: Problem(423, "plc-locked-out", "The PLC is locked out for maintenance"),
    errors.TooManyRequests: Problem(429, "too-many-requests", "Too many requests", SOON_S),
    errors.HTTPSRequired: Problem(403, "https-required", "Only over HTTPS"),
    errors.InvalidKey: Problem(400, "invalid-idempotency-key", "The Idempotency-Key is not one"),
    errors.KeyRequired: Problem(400, "idempotency-key-required", "An Idempotency-Key is missing"),
    errors.KeyReused: Problem(422, "idempotency-key-reused", "The Idempotency-Key stands for another request"),
    errors.RunNotQueued: Problem(409, "run-not-queued", "The run waits no more"),
    errors.PersonNeeded: Problem(403, "person-needed", "Only a person can say this"),
    errors.RightMissing: Problem(403, "right-missing", "You were not given the right to say this"),
    errors.RunSettled: Problem(409, "run-settled", "There is nothing to reconcile"),
    errors.NotProvable: Problem(409, "not-provable", "No read can tell what the machine did"),
    errors.NotProven: Problem(409, "not-proven", "The machine does not show that it did it"),
    errors.PLCDisabled: Problem(503, "plc-disabled", "The PLC is disabled", LATER_S),
    errors.QueueFull: Problem(503, "queue-full", "Too many commands wait for this PLC", SOON_S),
    errors.NotRead: Problem(503, "plc-not-read", "The PLC did not answer", SOON_S),
    errors.Draining: Problem(503, "draining", "The gateway is shutting down", SOON_S),
    errors.NotRunning: Problem(503, "not-running", "This process carries out no commands", LATER_S),
    errors.RecordUnavailable: Problem(503, "record-unavailable", "The database does not answer", SOON_S),
}
"""Nothing was sent, and no run was made or changed."""

OUTCOMES: dict[State, Problem] = {
    State.REJECTED: Problem(409, "run-rejected", "An interlock is open"),
    State.CANCELLED: Problem(409, "run-cancelled", "The run was withdrawn"),
    State.FAULTED: Problem(502, "run-faulted", "The PLC said no"),
    State.FAILED: Problem(503, "run-failed", "The machine was not told", SOON_S),
    State.EXPIRED: Problem(503, "run-expired", "The run waited too long for its turn", SOON_S),
    State.TIMED_OUT: Problem(504, "run-timed-out", "The machine did not acknowledge"),
    State.UNKNOWN: Problem(504, "run-unknown", "Nobody knows what the machine did"),
}
"""How a run ended that did not succeed; 504 always and only means that it may have happened."""

STATUSES: dict[int, Problem] = {
    400: Problem(400, "bad-request", "The request cannot be understood"),
    401: Problem(401, "unauthorized", "Who are you?"),
    403: Problem(403, "forbidden", "Not permitted"),
    404: Problem(404, "not-found", "Nothing is at this address"),
    405: Problem(405, "method-not-allowed", "Method not allowed"),
    413: Problem(413, "body-too-large", "The body is too large"),
    415: Problem(415, "wrong-content-type", "The body is not sent as JSON"),
    500: Problem(500, "internal-error", "An error of the gateway itself"),
}
"""What no error class of ours stands for."""

NOT_READY = Problem(503, "not-ready", "Not ready to take commands", SOON_S)

ALL = (*REFUSALS.values(), *OUTCOMES.values(), *STATUSES.values(), NOT_READY)

UNCLEAR = "The request cannot be understood."
UNREADABLE: dict[type[Exception], tuple[int, str]] = {
    TooManyFieldsSent: (413, "The form has too many fields. Nothing was saved: save it in several parts."),
    RequestDataTooBig: (413, "What was sent is too long. Nothing was saved: send it in several parts."),
    DisallowedHost: (400, "The gateway is not called by this name: the setting ALLOWED_HOSTS lists its names."),
}
"""Why a request outside the API could not be read, and what its sender can do."""
FORGED = (
    "The form did not come from a page of this gateway, or somebody has logged in or out since. Nothing was done: "
    "go back, reload the page, and send it again."
)

PAGE = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{}</title></head>
<body><h1>{}</h1><p>{}</p><p><a href="/">To the live page</a></p></body>
</html>
"""


def problem(status: int, title: str, detail: str, *, code: str = "", **members: Any) -> HttpResponse:
    """Problem details with any further members; the code is made of the title where none is given."""
    content = {"type": TYPE + (code or slugify(title)), "title": title, "status": status, "detail": detail, **members}
    headers = {"Cache-Control": "no-store"}
    response = HttpResponse(json.dumps(content), status=status, content_type=MEDIA_TYPE, headers=headers)
    # A PLC that is switched off is no error of the server: Django would log every 5xx as one.
    response._has_been_logged = True  # type: ignore[attr-defined]  # noqa: SLF001
    return response


def answer(kind: Problem, detail: str, *, retry_s: float | None = None, **members: Any) -> HttpResponse:
    """A problem of the table."""
    response = problem(kind.status, kind.title, detail, code=kind.code, **members)
    wait_s = kind.retry_s if retry_s is None else retry_s
    if wait_s is not None:
        response["Retry-After"] = str(math.ceil(wait_s))
    if kind.status == 401:
        response["WWW-Authenticate"] = "ApiKey"  # RFC 9110 section 15.5.2 wants one; no browser opens a box for it
    return response


def of_status(status: int, request: HttpRequest, detail: str) -> HttpResponse:
    """A problem that only its status tells."""
    return answer(STATUSES[status], detail, instance=address_of(request))


def of_refusal(error: Exception, request: HttpRequest) -> HttpResponse:
    """A problem by the class of the error: nothing was sent."""
    kind = next(REFUSALS[cls] for cls in type(error).__mro__ if cls in REFUSALS)
    retry_s = getattr(error, "retry_after_s", None)
    return answer(kind, str(error), retry_s=retry_s, instance=address_of(request), **_members(error))


def _members(error: Exception) -> Mapping[str, Any]:
    """What else a program may want to know of the error."""
    if isinstance(error, errors.WrongValues):
        return {"errors": [{"field": name, "message": fault} for name, fault in error.errors]}
    run = getattr(error, "run", None)
    members = {} if run is None else {"run": run.as_json()}
    return members | {"clauses": clauses_of(error.clauses)} if isinstance(error, errors.NotProven) else members


def clauses_of(clauses: Iterable[Clause]) -> list[dict[str, Any]]:
    """Conditions as callers see them: with what was read in words, and as values for words of their own."""
    return [_clause_of(clause) for clause in clauses]


def _clause_of(clause: Clause) -> dict[str, Any]:
    step = clause.step
    values = {"read": clause.read, "wanted": clause.wanted}
    return {
        "tag": step.tag.name,
        "is_met": clause.is_met,
        "detail": clause.detail,
        "phase": step.phase.value,
        "operator": step.operator.value,
        "message": step.message,
        **{name: value if value is None else storable(value) for name, value in values.items()},
    }


def of_run(run: RunRecord, *, retry_s: float | None = None) -> HttpResponse:
    """A problem by the final state of a run; the run comes along, so that the caller sees `effect` and `retry`."""
    kind = OUTCOMES[run.state]
    wait_s = retry_s if kind.retry_s is not None else None
    return answer(kind, run.detail, retry_s=wait_s, instance=address_of_run(run), run=run.as_json())


def address_of_run(run: RunRecord) -> str:
    """Where the run is looked at."""
    return f"/api/runs/{run.id}"


def of_bug(error: BaseException | None, request: HttpRequest) -> HttpResponse:
    """A bug of ours: the log has the trace, the caller only the id under which it stands there."""
    bug = uuid4()
    logger.error("bug %s at %s %s", bug, request.method, request.path, exc_info=error)
    detail = f"The gateway made a mistake, logged as {bug}. If you sent a command, see /api/runs before you repeat it."
    return answer(STATUSES[500], detail, instance=bug.urn)


def address_of(request: HttpRequest) -> str:
    """The request's path, as it may stand in a URI."""
    return escape_uri_path(request.path)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:  # noqa: ARG001 - Django's signature
    """Django's handler404."""
    return _page(request, of_status(404, request, "Nothing is at this address."))


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's handler400."""
    status, why = next((told for cls, told in UNREADABLE.items() if isinstance(exception, cls)), (400, UNCLEAR))
    return _page(request, of_status(status, request, why))


def forged(request: HttpRequest, reason: str = "") -> HttpResponse:  # noqa: ARG001 - Django's signature and words
    """Django's CSRF_FAILURE_VIEW."""
    return _page(request, of_status(403, request, FORGED))


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:  # noqa: ARG001
    """Django's handler403."""
    return _page(request, of_status(403, request, "You may not do this."))


def server_error(request: HttpRequest) -> HttpResponse:
    """Django's handler500."""
    return _page(request, of_bug(sys.exception(), request))


def _page(request: HttpRequest, response: HttpResponse) -> HttpResponse:
    """The problem, or for a browser outside the API a short page that says the same."""
    if request.path_info.startswith("/api/") or not request.accepts("text/html"):
        return response
    told = json.loads(response.content)
    page = format_html(PAGE, told["title"], told["title"], told["detail"])
    return HttpResponse(page, status=response.status_code)
