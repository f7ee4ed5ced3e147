"""The one event loop of a process that serves, and Twisted's reactor on it: to be imported before Daphne."""

import asyncio
import select

from devices.management.event_loop import new_event_loop


def _install() -> asyncio.AbstractEventLoop:
    """Daphne takes the reactor that is there, or else makes one; Twisted has one a process."""
    if not hasattr(select, "epoll"):
        from daphne.server import twisted_loop

        return twisted_loop  # type: ignore[no-any-return]  # Daphne has no types
    from devices.management.epoll_reactor import install

    install(loop := new_event_loop())
    from daphne.server import twisted_loop

    twisted_loop.close()  # that of the reactor which Daphne did not make
    return loop


loop = _install()
"""Daphne's, the gateway's and its companions'."""
