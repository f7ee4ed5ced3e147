"""Pages that need their time, behind the real middleware; and a WebSocket that stays open until it is closed."""

import asyncio
import time
from typing import Any

from channels.routing import ProtocolTypeRouter
from django.core.asgi import get_asgi_application
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

from devices.management import webserver

webserver.LAG_S = 1.0  # no test waits 15 s
webserver.SILENT_S = 2  # or a minute


async def slow(request: HttpRequest) -> HttpResponse:
    """Answer after `s` seconds."""
    await asyncio.sleep(float(request.GET["s"]))
    return HttpResponse("done")


async def long(request: HttpRequest) -> HttpResponse:
    """Answer `n` bytes."""
    return HttpResponse(b"x" * int(request.GET["n"]))


async def blocking(request: HttpRequest) -> HttpResponse:
    """Hold the event loop, as no code of ours may."""
    time.sleep(float(request.GET["s"]))  # noqa: ASYNC251
    return HttpResponse("done")


@csrf_exempt
async def length(request: HttpRequest) -> HttpResponse:
    """How long the body is, and what the address looks like."""
    return JsonResponse({"length": len(request.body), "script": request.META["SCRIPT_NAME"]})


async def socket(_scope: Any, receive: Any, send: Any) -> None:
    """Accept, send 1 MiB for each message that comes, and leave the closing to the server."""
    while (message := await receive())["type"] != "websocket.disconnect":
        if message["type"] == "websocket.connect":
            await send({"type": "websocket.accept"})
        else:
            await send({"type": "websocket.send", "bytes": bytes(2**20)})


urlpatterns = [path("slow", slow), path("long", long), path("blocking", blocking), path("length", length)]
application = ProtocolTypeRouter({"http": get_asgi_application(), "websocket": socket})
