"""Who acts in a request, for the audit: on the event loop, found out only where something is told."""

from functools import partial

from django.http import HttpRequest
from django.http.response import HttpResponseBase

from devices.control.actors import NOBODY, Actor, act_as, act_no_more, source_of
from devices.control.callers import Caller
from plcsite.middleware import OnTheLoop


class ActorMiddleware(OnTheLoop):
    """Whatever a request does is told, in the audit, as done by its caller."""

    def process_request(self, request: HttpRequest) -> None:
        """From here on."""
        request.acting = act_as(partial(_actor_of, request))  # type: ignore[attr-defined]

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        """Up to here."""
        act_no_more(request.acting)  # type: ignore[attr-defined]
        return response


def _actor_of(request: HttpRequest) -> Actor:
    """The API's caller, else the person of the session: asked in the thread in which something is told."""
    caller = getattr(request, "auth", None)
    if isinstance(caller, Caller):
        return Actor(name=caller.name, source=caller.source)
    user = getattr(request, "user", None)  # a program that shows a key has none
    name = f"user {user.get_username()}" if user is not None and user.is_authenticated else NOBODY
    return Actor(name=name, source=source_of(request))
