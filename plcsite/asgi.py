"""The ASGI application: static files, then Django; WebSockets of the live page, from our own hosts only."""

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "plcsite.settings")
site = get_asgi_application()  # loads Django: what follows may import models

from typing import Any, cast  # noqa: E402

from channels.auth import AuthMiddlewareStack  # noqa: E402
from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402
from channels.security.websocket import AllowedHostsOriginValidator  # noqa: E402
from django.urls import re_path  # noqa: E402

from devices.live.urls import websocket_urlpatterns  # noqa: E402
from plcsite.static import with_static_files  # noqa: E402


async def no_such_socket(_scope: Any, _receive: Any, send: Any) -> None:
    """Refuse the handshake (403); without it an unknown address would be logged as an error of ours."""
    await send({"type": "websocket.close"})


application = ProtocolTypeRouter(
    {
        "http": with_static_files(site),
        "websocket": AllowedHostsOriginValidator(
            AuthMiddlewareStack(URLRouter([*websocket_urlpatterns, re_path(r"", cast("Any", no_such_socket))]))
        ),
    }
)
