"""Who acts now: the person or key of a request, else a command of the shell."""

import contextlib
import getpass
import socket
import sys
from collections.abc import Callable, Iterator
from contextvars import ContextVar, Token
from dataclasses import dataclass
from pathlib import Path

from django.http import HttpRequest


@dataclass(frozen=True, kw_only=True, slots=True)
class Actor:
    """Who did something, as the audit tells it."""

    name: str
    """`user anna`, `key mes-line-1`, `shell migrate`."""
    source: str = ""
    """The caller's address; of a shell's command the account that ran it."""


def source_of(request: HttpRequest) -> str:
    """The caller's address; of a proxy only one that is trusted is believed (plcsite/proxies.py)."""
    return str(request.META.get("REMOTE_ADDR", ""))


NOBODY = "anonymous"
"""Somebody who has not said who he is."""

Who = Callable[[], Actor]
"""Found out only when something is told: of most requests nobody asks, and it may need the database."""

_now: ContextVar[Who | None] = ContextVar("acting", default=None)
Acting = Token[Who | None]


@contextlib.contextmanager
def acting(who: Actor | Who) -> Iterator[None]:
    """Whatever is done in this block is told as his, also in threads that it calls; a task with a context of its own
    does not know it.
    """
    token = act_as((lambda: who) if isinstance(who, Actor) else who)
    try:
        yield
    finally:
        act_no_more(token)


def act_as(who: Who) -> Acting:
    """The same from here on, for who cannot put a block around it: what is returned ends it, in the same task."""
    return _now.set(who)


def act_no_more(begun: Acting) -> None:
    """Up to here."""
    _now.reset(begun)


def current_actor() -> Actor:
    """Who acts now; to be called in a thread that may ask the database."""
    who = _now.get()
    return _shell() if who is None else who()


def _shell() -> Actor:
    program, *arguments = sys.argv or [""]
    name = Path(program).name
    command = arguments[0] if name == "manage.py" and arguments else name
    return Actor(name=f"shell {command}".strip(), source=f"{_account()}@{socket.gethostname()}")


def _account() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container may run under a number without a name
        return "somebody"
