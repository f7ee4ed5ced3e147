"""The ASGI application: static files, then Django; WebSockets of the live page, from our own hosts only.

Before all of it stands who calls, and how: see plcsite/proxies.py.
"""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "plcsite.settings")

from plcsite.handler import load_site

site = load_site()  # loads Django: what follows may import models

from typing import Any, cast  # noqa: E402

from channels.auth import AuthMiddleware  # noqa: E402
from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402
from channels.security.websocket import AllowedHostsOriginValidator  # noqa: E402
from channels.sessions import CookieMiddleware  # noqa: E402
from django.conf import settings  # noqa: E402
from django.urls import re_path  # noqa: E402

from devices.live.urls import websocket_urlpatterns  # noqa: E402
from plcsite.proxies import BehindProxies  # noqa: E402
from plcsite.sessions import WatchingStore  # noqa: E402
from plcsite.static import with_static_files  # noqa: E402


async def no_such_socket(_scope: Any, _receive: Any, send: Any) -> None:
    """Refuse the handshake (403); without it an unknown address would be logged as an error of ours."""
    await send({"type": "websocket.close"})


class WatchingSessions:
    """Gives a page the session of its cookie, to look at: watching is no use of it, and stores nothing."""

    def __init__(self, pages: Any) -> None:
        self._pages = pages

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> Any:
        """One page."""
        session = WatchingStore(scope["cookies"].get(settings.SESSION_COOKIE_NAME))
        return await self._pages({**scope, "session": session}, receive, send)


pages = URLRouter([*websocket_urlpatterns, re_path(r"", cast("Any", no_such_socket))])
application = BehindProxies(
    ProtocolTypeRouter(
        {
            "http": with_static_files(site),
            "websocket": AllowedHostsOriginValidator(CookieMiddleware(WatchingSessions(AuthMiddleware(pages)))),
        }
    ),
    settings.TRUSTED_PROXIES,
)
