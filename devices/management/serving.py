"""The gateway's life in one process: recover, listen, serve, drain, leave. No command is cut, no socket is left."""

import asyncio
import contextvars
import faulthandler
import gc
import logging
from collections.abc import Callable, Coroutine, Sequence
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    AsyncExitStack,
    nullcontext,
    suppress,
)
from typing import Any

from django.conf import settings
from django.urls import get_resolver
from django.utils.module_loading import import_string

from devices.control import reach
from devices.control.gateway import Gateway
from devices.control.prune import pruning_daily
from devices.control.rates import COUNTS
from devices.management.database import close_pools, require_migrated
from devices.management.ending import LAST_RESORT_S, SIGNALS
from devices.management.errors import CannotStart
from devices.management.listening import Address, Inherited
from devices.management.lock import (
    HeldLock,
    ServerLock,
    one_of_servers,
    sole_poller,
    sole_server,
    sole_server_without_redis,
)
from devices.management.lock_keeping import keeping
from devices.management.reactor import loop
from devices.management.watchdog import Watchdog
from devices.management.webserver import GatewayServer

logger = logging.getLogger(__name__)

Companion = AbstractAsyncContextManager[Any]
"""A background part of the process (a poller, simulated machines): entered before the first caller, left last."""

LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
CUT_S = 3.0  # for runs that are cut to store what is then true
GOODBYE_S = 2.0  # for pages to answer the close of their socket


def run(
    *,
    at: Address | Inherited,
    companions: Sequence[Companion] = (),
    on_ready: Callable[[], None] | None = None,
    drain_s: float | None = None,
    polls: bool = True,
) -> int:
    """Serve until SIGTERM or SIGINT and return the exit code; to be called in the main thread, once a process.

    `on_ready` is called when callers are accepted. A first signal lets what runs end, for at most `drain_s`
    (the setting DRAIN_S); a second one means now. Without `polls` PLCs are talked to for commands only; where REDIS_URL
    is set, too, any number of such processes may serve one database.
    """
    drain_s = settings.DRAIN_S if drain_s is None else drain_s
    try:
        _require_safe_settings(at.host)
        with _lock(polls=polls) as lock, sole_poller() if polls else nullcontext() as poller_lock:
            require_migrated()
            life = _Life(_load_server(), drain_s, lock=lock, poller_lock=poller_lock)
            return life.run(life.serve(at, companions, on_ready))
    except CannotStart as error:
        logger.error("%s", error)  # a mistake of the set-up: its text says all, a stack nothing
        return 1


def _lock(*, polls: bool) -> AbstractContextManager[ServerLock]:
    if polls:
        return sole_server()
    return one_of_servers() if settings.REDIS_URL else sole_server_without_redis()


def _require_safe_settings(host: str) -> None:
    if not settings.ALLOWED_HOSTS:
        raise CannotStart(
            "ALLOWED_HOSTS is empty: set it to the names under which browsers and the MES call this gateway, separated "
            "by commas, for example ALLOWED_HOSTS=plc-gateway.example.com,localhost."
        )
    if "*" in settings.ALLOWED_HOSTS:
        raise CannotStart(
            "ALLOWED_HOSTS=* would let a page of any website open the live pages' sockets in an operator's name: "
            "list the names under which this gateway is called."
        )
    if settings.DEBUG and host not in LOOPBACK:
        raise CannotStart(
            f"DEBUG shows the gateway's inside to whoever causes an error, and {host} can be reached by others: "
            "leave DEBUG off, or listen on 127.0.0.1."
        )


def _load_server() -> GatewayServer:
    """The web server with all code loaded, so that the first caller does not pay for it."""
    server = GatewayServer(import_string(settings.ASGI_APPLICATION))
    get_resolver()._populate()  # noqa: SLF001  # Django does so at the first request
    # What is loaded stays: left out of each collection, the longest pause falls from 60 to 20 ms.
    gc.collect()
    gc.freeze()
    # Nearly all that a request makes is gone with it: collected less often, it costs 3 % of the processor time less.
    gc.set_threshold(10_000, 20, 20)
    return server


class _Life:
    """One run of the server, from its first to its last moment on the event loop."""

    def __init__(
        self, server: GatewayServer, drain_s: float, *, lock: ServerLock, poller_lock: HeldLock | None
    ) -> None:
        """`poller_lock`: of a server that polls."""
        self._server = server
        self._lock = lock
        self._locks = (lock, poller_lock) if poller_lock else (lock,)
        self._drain_s = drain_s
        # Who polls himself is alone at the PLCs, and may keep connections to them.
        polls = poller_lock is not None
        redis_url = "" if polls else settings.REDIS_URL
        self._gateway = Gateway(polls=polls, redis_url=redis_url, prefix=settings.REDIS_PREFIX)
        self._asked_to_end = asyncio.Event()
        self._drain_limit: asyncio.Timeout | None = None
        self._is_drained = False
        self._is_cut = False
        self._has_lost_lock = False
        self._main: asyncio.Task[None]

    def run(self, serving: Coroutine[Any, Any, None]) -> int:
        """Run `serve` on Daphne's loop, with signals, until it has ended."""
        self._main = loop.create_task(serving, context=contextvars.Context())
        self._main.add_done_callback(lambda _: self._server.end())
        loop.call_soon(self._heed_signals)
        with Watchdog(loop):
            self._server.run()
        _close_loop()
        close_pools()
        if not self._main.cancelled():
            self._main.result()
        return 1 if self._is_cut or self._has_lost_lock else 0

    async def serve(
        self, at: Address | Inherited, companions: Sequence[Companion], on_ready: Callable[[], None] | None
    ) -> None:
        """Recover, then listen; drain when asked to end, then close everything in the reverse order."""
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self._close_gateway)
            # What a dead process left is settled first: a caller must not read a run that nobody executes.
            await self._gateway.start(is_alone=self._lock.is_alone)
            await asyncio.to_thread(self._lock.share)
            sharing = COUNTS.shared(settings.REDIS_URL, prefix=settings.REDIS_PREFIX)
            locks = [keeping(lock, on_loss=self._on_lock_lost) for lock in self._locks]
            for companion in (pruning_daily(), sharing, *locks, *companions):
                await stack.enter_async_context(companion)
            if not self._asked_to_end.is_set():
                port = at.listen(self._server)
                # No PLC is where we listen: only now is the port known for sure.
                reach.note_listening(at.host, port)
                self._gateway.registry.reload()
                _announce(at.host, port)
                if on_ready is not None:
                    on_ready()
            await self._asked_to_end.wait()
            await self._drain()

    def _heed_signals(self) -> None:
        """From within the loop: until it runs, uvloop keeps a signal to itself, and the process would live on."""
        for number in SIGNALS:
            loop.add_signal_handler(number, self._on_signal)

    def _on_lock_lost(self) -> None:
        self._has_lost_lock = True
        if not self._asked_to_end.is_set():
            self._begin_to_end()

    def _on_signal(self) -> None:
        if self._asked_to_end.is_set():
            self._cut()
        else:
            self._begin_to_end()

    def _begin_to_end(self) -> None:
        logger.info("Ending: what runs has %g s to finish; a second signal ends it now", self._drain_s)
        faulthandler.dump_traceback_later(self._drain_s + LAST_RESORT_S, exit=True)
        self._asked_to_end.set()

    def _cut(self) -> None:
        logger.warning("Ending now: what still runs is cut, and stored as cut")
        faulthandler.dump_traceback_later(LAST_RESORT_S / 2, exit=True)
        self._is_cut = True
        self._gateway.hurry()
        if self._drain_limit is None:
            self._main.cancel()
        elif not self._drain_limit.expired():
            self._drain_limit.reschedule(loop.time() + CUT_S)

    async def _drain(self) -> None:
        with suppress(TimeoutError):
            # The gateway keeps the limit by itself and then cuts its runs: leave it the time to store that.
            async with asyncio.timeout(self._drain_s + CUT_S) as self._drain_limit:
                # The gateway first: it is not ready and refuses commands from its first step on.
                commands = asyncio.create_task(self._gateway.drain(self._drain_s))
                await asyncio.sleep(0)
                await self._server.stop_listening()
                await commands
                self._is_drained = True
                await self._server.finish_requests()
        with suppress(TimeoutError):
            async with asyncio.timeout(GOODBYE_S):
                await self._server.close_pages()

    async def _close_gateway(self) -> None:
        """Where an error or a second signal came between: close the PLC connections and the journal all the same."""
        if not self._is_drained:
            await self._gateway.drain(0)


def _announce(host: str, port: int) -> None:
    logger.info("Ready on http://%s:%d/", f"[{host}]" if ":" in host else host, port)
    if settings.HTTPS:
        logger.info(
            "Browsers and the MES must come over HTTPS, through a proxy that TRUSTED_PROXIES lists (now: %s)",
            ", ".join(map(str, settings.TRUSTED_PROXIES)) or "none",
        )
    if host not in LOOPBACK:
        logger.warning("Whoever reaches %s reaches this gateway, unencrypted: put a TLS proxy before it", host)


def _close_loop() -> None:
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()
