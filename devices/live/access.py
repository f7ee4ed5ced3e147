"""Who watches the live pages, and which PLCs exist for him there; what may be done is decided in control/rights.py."""

from dataclasses import dataclass
from importlib import import_module
from typing import Any

from channels.auth import get_user
from channels.db import database_sync_to_async
from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser

from devices.control.rights import NOTHING, PUBLIC, Rights, rights_of_user
from devices.control.sight import seen_plcs
from devices.plc.specs import PLCSpec


@dataclass(frozen=True, kw_only=True, slots=True)
class Viewer:
    """Somebody in front of a page, as he was when he was looked up."""

    name: str = ""
    """Of the user; empty where nobody is logged in."""
    own: Rights = NOTHING
    """What he was granted: what the API answers him."""

    @property
    def may_watch(self) -> bool:
        """Whether there are pages for him at all."""
        return bool(self.name) or settings.LIVE_PUBLIC

    @property
    def rights(self) -> Rights:
        """What he may see here: with what is open to anybody, where the settings say so."""
        return self.own.joined(PUBLIC) if settings.LIVE_PUBLIC else self.own

    def may(self, plc: PLCSpec) -> dict[str, Any]:
        """What he may do with a PLC, JSON-ready: nothing else is offered to him."""
        return {"ask": self.own.sees(plc), **self.own.as_json(plc, plc.commands)}


async def viewer_of(user: AbstractBaseUser | AnonymousUser | None) -> Viewer:
    """Of the user of a session; None: a socket that came without one. Asks the database for those only who have one."""
    if user is None or not user.is_authenticated or not user.is_active:
        return Viewer()
    return Viewer(name=user.get_username(), own=await database_sync_to_async(rights_of_user)(user))


async def viewer_now(scope: dict[str, Any]) -> Viewer:
    """Whose page it is now: sessions end, users are disabled and rights are taken away while a page is open."""
    connected = scope.get("session")
    if connected is None or connected.session_key is None:
        return Viewer()
    sessions = import_module(settings.SESSION_ENGINE)
    # A fresh store: the scope's own has kept what it read when the page connected.
    return await viewer_of(await get_user({"session": sessions.WatchingStore(connected.session_key)}))


async def seen_with(rights: Rights) -> frozenset[int] | None:
    """The numbers of the PLCs that exist for these rights; None: all, and then the database is not asked."""
    if rights.sees_all:
        return None
    seen: frozenset[int] | None = await database_sync_to_async(seen_plcs)(rights)
    return seen
