"""Sessions that end: 8 h after the login, and half an hour after the last request. The SESSION_ENGINE.

An operator watches a page for a whole shift without a click, and a screen that nobody sits at must not start machines:
so an open live page is neither a use of its session nor ended by the lack of one. It may watch until the session's
8 h are over; whatever else somebody asks for then needs a new login.
"""

import time
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib.sessions.backends.db import SessionStore as DatabaseStore
from django.contrib.sessions.base_session import AbstractBaseSession
from django.utils import timezone

USED_AT = "_used_at"
ENDS_AT = "_session_expiry"  # Django's own name for it
STORED_EVERY_S = 60  # a use is worth a write to the database this often


class SessionStore(DatabaseStore):
    """Stored with the moment of its last use; one that was not used for too long is not there."""

    is_for_watching = False
    key_salt = "plcsite.sessions"  # the same for all who read it; Django's has the name of the class

    @property
    def is_loaded(self) -> bool:
        """Whether this request has looked into it."""
        return hasattr(self, "_session_cache")

    @property
    def is_due(self) -> bool:
        """Whether this use is to be stored."""
        return self.is_loaded and USED_AT in self and time.time() - self[USED_AT] > STORED_EVERY_S  # noqa: TID251

    def load(self) -> dict[str, Any]:
        """What is stored, nothing where the session is over."""
        return self._unless_idle(super().load())

    async def aload(self) -> dict[str, Any]:
        """The same on the event loop."""
        return self._unless_idle(await super().aload())

    def create_model_instance(self, data: dict[str, Any]) -> AbstractBaseSession:
        """A row of it as it is stored now, which is a use."""
        _stamp(data)
        return super().create_model_instance(data)

    async def acreate_model_instance(self, data: dict[str, Any]) -> AbstractBaseSession:
        """The same on the event loop."""
        _stamp(data)
        return await super().acreate_model_instance(data)

    def _unless_idle(self, found: dict[str, Any]) -> dict[str, Any]:
        # Wall clock: it must hold over processes and restarts.
        idle_s = time.time() - found.get(USED_AT, 0.0)  # noqa: TID251
        if found and idle_s > settings.SESSION_IDLE_S and not self.is_for_watching:
            self._session_key = None
            return {}
        return found


class WatchingStore(SessionStore):
    """For the sockets of live pages: there until the end of the session, used or not."""

    is_for_watching = True


def _stamp(data: dict[str, Any]) -> None:
    data[USED_AT] = time.time()  # noqa: TID251
    data.setdefault(ENDS_AT, (timezone.now() + timedelta(seconds=settings.SESSION_COOKIE_AGE)).isoformat())
