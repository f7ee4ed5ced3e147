"""ninja's exceptions and ours to problem details."""

from collections.abc import Callable
from typing import Any

from django.db import Error as DatabaseUnavailable
from django.http import HttpRequest, HttpResponse
from ninja import NinjaAPI
from ninja.errors import HttpError, ValidationError

from devices.api import problems
from devices.api.body import Malformed
from devices.control.errors import InvalidParameters, RecordUnavailable, Refused

WORDS = {
    "int_parsing": "must be a whole number",
    "int_parsing_size": "must be a whole number of fewer digits",
    "int_from_float": "must be a whole number",
    "float_parsing": "must be a number",
    "bool_parsing": "must be true or false",
    "finite_number": "must be a finite number",
    "missing": "is required",
}
"""pydantic's error types in plain words; for others its own message does."""


def on_bug(request: HttpRequest, error: Exception) -> HttpResponse:
    """Anything that nobody expected."""
    return problems.of_bug(error, request)


def on_refused(request: HttpRequest, error: Refused) -> HttpResponse:
    """Nothing was sent, no run exists."""
    return problems.of_refusal(error, request)


def on_database_error(request: HttpRequest, error: DatabaseUnavailable) -> HttpResponse:
    """The database failed while something was read; its own words are for the log."""
    problems.logger.error("the database failed at %s: %s", request.path, error)
    return problems.of_refusal(RecordUnavailable("the database does not answer; try again"), request)


def on_invalid(request: HttpRequest, error: ValidationError) -> HttpResponse:
    """A field of the path, the query or the body is wrong."""
    faults = tuple((str(fault["loc"][-1]), str(WORDS.get(fault["type"], fault["msg"]))) for fault in error.errors)
    return problems.of_refusal(InvalidParameters(faults), request)


def on_malformed(request: HttpRequest, error: Malformed) -> HttpResponse:
    """A body that an operation reads by itself is not JSON."""
    return problems.of_status(400, request, str(error))


def on_http_error(request: HttpRequest, error: HttpError) -> HttpResponse:
    """ninja's own: who are you, not permitted, a body that cannot be read."""
    cause = error.__cause__
    if isinstance(cause, InvalidParameters):
        return problems.of_refusal(cause, request)
    if cause is not None and not isinstance(cause, Malformed):
        return problems.of_bug(cause, request)
    return problems.of_status(error.status_code, request, str(cause or error))


HANDLERS: dict[type[Exception], Callable[[HttpRequest, Any], HttpResponse]] = {
    Exception: on_bug,
    Refused: on_refused,
    DatabaseUnavailable: on_database_error,
    Malformed: on_malformed,
    ValidationError: on_invalid,
    HttpError: on_http_error,
}


def answer_to(request: HttpRequest, error: Exception) -> HttpResponse:
    """What a caller is told of an error: the handler of its nearest class."""
    handler = next(HANDLERS[cls] for cls in type(error).__mro__ if cls in HANDLERS)
    return handler(request, error)


def install(api: NinjaAPI) -> None:
    """Register them all; ninja takes the nearest class."""
    for error, handler in HANDLERS.items():
        api.add_exception_handler(error, handler)
