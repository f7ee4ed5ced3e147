"""The MES's entrance: commands by name over HTTP, one definite answer each."""

from typing import Any, cast

from django.http import HttpRequest, HttpResponse
from ninja import NinjaAPI, Swagger
from ninja.openapi.schema import OpenAPISchema

from devices.api import commands, handlers, health, history, lock_outs, plc_openapi, plcs, reconcile, runs, start, tags
from devices.api.answer_headers import with_answer_headers
from devices.api.auth import METHODS, for_callers
from devices.api.body import JSONParser
from devices.api.guard import guarded
from devices.api.schemas import with_problem_type

DESCRIPTION = """Start machines by name and get one definite answer.

Callers show an API key in `X-API-Key`, or a logged-in session with its CSRF token. Errors are problem details
(RFC 9457) with `detail` in plain words. **504 always and only means: it may have happened, look before you repeat.**
"""


class Unmade:
    """Stands where ninja makes a response before it knows whether an operation brings its own, as a command does.

    So no operation can ask for ninja's `response`, or answer with none (`{204: None}`): it returns an HttpResponse.
    """

    status_code = 200


class GatewayAPI(NinjaAPI):
    """ninja's, with errors documented as what they are."""

    def create_temporal_response(self, _request: HttpRequest) -> HttpResponse:
        """What the status is noted in."""
        return cast("HttpResponse", Unmade())

    def create_response(
        self, request: HttpRequest, data: Any, *, status: int | None = None, temporal_response: Any = None
    ) -> HttpResponse:
        """The response of an operation that leaves it to ninja."""
        noted = status if temporal_response is None else temporal_response.status_code
        return super().create_response(request, data, status=noted)

    def get_openapi_schema(self, **given: Any) -> OpenAPISchema:
        """The OpenAPI document."""
        schema = super().get_openapi_schema(**given)
        with_problem_type(schema)
        with_answer_headers(schema)
        return schema


def _assemble() -> GatewayAPI:
    assembled = GatewayAPI(
        title="PLC gateway",
        version="1.0.0",
        description=DESCRIPTION,
        urls_namespace="api",
        auth=list(METHODS),
        parser=JSONParser(),
        docs=Swagger(settings={"validatorUrl": None}),  # None: the docs send nothing to the internet
        docs_decorator=for_callers,
    )
    handlers.install(assembled)
    assembled.add_decorator(guarded, mode="view")
    assembled.add_router("/start", start.router)
    assembled.add_router("/plcs", plcs.router)
    assembled.add_router("/plcs", commands.router)
    assembled.add_router("/plcs", tags.router)
    assembled.add_router("/plcs", history.router)
    assembled.add_router("/plcs", lock_outs.router)
    assembled.add_router("/plcs", plc_openapi.router)
    assembled.add_router("/runs", runs.router)
    assembled.add_router("/runs", reconcile.router)
    assembled.add_router("/health", health.router)
    return assembled


api = _assemble()
