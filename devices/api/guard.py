"""What every request meets before ninja reads it: size and type of the body, query fields that exist."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import wraps
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from ninja.operation import Operation

from devices.api import problems
from devices.api.body import MOST_BYTES
from devices.control.errors import InvalidParameters

Run = Callable[..., Awaitable[HttpResponseBase]]


def guarded(run: Run) -> Run:
    """Wrap an operation's `run` (ninja's decorator mode "view")."""
    known = dict(_query_fields(getattr(run, "__self__", None)))

    @wraps(run)
    async def checked(request: HttpRequest, **path: Any) -> HttpResponseBase:
        return refusal(request, known) or await run(request, **path)

    return checked


def refusal(request: HttpRequest, known: Mapping[str, bool]) -> HttpResponse | None:
    """Why the request is not even looked at, or None."""
    # The length is not always announced: .NET sends chunks. The body is kept where Django keeps it.
    request._body = request.read(MOST_BYTES + 1)  # noqa: SLF001
    if len(request.body) > MOST_BYTES:
        return problems.of_status(413, request, f"the body is larger than {MOST_BYTES} bytes")
    # A form would be parsed before we see it, in search of a CSRF token.
    sent = request.content_type or "no content type"
    if sent.startswith("multipart/") or (request.body and sent != "application/json"):
        return problems.of_status(415, request, f"send the body as application/json, not as {sent}")
    faults = tuple(_query_faults(request, known))
    return problems.of_refusal(InvalidParameters(faults), request) if faults else None


def _query_faults(request: HttpRequest, known: Mapping[str, bool]) -> Iterable[tuple[str, str]]:
    """A field with a typing error in its name would silently do nothing, or show every run instead of some."""
    for name in request.GET:
        if name not in known:
            yield name, "is not a field of this request's query"
        elif len(request.GET.getlist(name)) > 1 and not known[name]:
            yield name, "is given twice"


def _query_fields(operation: Operation | None) -> Iterable[tuple[str, bool]]:
    """Each with whether it is a list, which may be given many times."""
    for model in operation.models if operation else ():
        if model.__ninja_param_source__ == "query":
            lists = model.__ninja_collection_fields__
            yield from ((name, name in lists) for name in model.__ninja_flatten_map__)
