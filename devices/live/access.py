"""Who may watch the live page: every user that is logged in, or anybody where LIVE_PUBLIC says so."""

from importlib import import_module
from typing import Any

from channels.auth import get_user
from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser


def may_watch(user: AbstractBaseUser | AnonymousUser | None) -> bool:
    """Whether this user sees the page; None: a socket that came without a session."""
    return settings.LIVE_PUBLIC or (user is not None and user.is_authenticated)


async def may_still_watch(scope: dict[str, Any]) -> bool:
    """The same, asked again of the database: sessions end and users are disabled while a page is open."""
    if settings.LIVE_PUBLIC:
        return True
    sessions = import_module(settings.SESSION_ENGINE)
    # A fresh store: the scope's own has kept what it read when the page connected.
    session = sessions.SessionStore(scope["session"].session_key)
    return may_watch(await get_user({"session": session}))
