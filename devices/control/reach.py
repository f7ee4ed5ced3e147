"""Where this gateway's PLCs may be, and with which certificates they are talked to: what the settings say of both."""

import asyncio
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from asgiref.sync import async_to_sync
from django.conf import settings

from devices.modbus import names, tls
from devices.modbus.errors import AddressForbidden, LinkUnavailable
from devices.modbus.networks import Networks, Service

LOOK_S = 3.0  # that a form waits for a name server, or for files that may lie on a network drive
POSTGRESQL, REDIS = 5432, 6379  # their ports where a setting names none

_listening: set[Service] = set()


def note_listening(host: str, port: int) -> None:
    """This process serves pages there. The registry must be loaded anew to know it."""
    _listening.add(Service(name="the gateway itself", host=host, port=port))


def networks() -> Networks:
    """Where PLCs may be, as things stand."""
    return Networks(allowed=settings.PLC_NETWORKS, services=(*_listening, *_database(), *_redis()))


def folder_of(identity: str) -> Path:
    """Where the files of a TLS identity are; ValueError for what is no name of a folder."""
    if identity == ".." or identity != Path(identity).name:
        raise ValueError(f"{identity!r} is no name of a folder below TLS_DIR")
    return Path(settings.TLS_DIR) / identity


def address_fault(host: str, port: int) -> str | None:
    """Why no PLC may be there, for a form; each address of a name counts.

    None for a name that nobody knows now: its addresses are looked up again, and judged, at each connection.
    """
    try:
        async_to_sync(_require_allowed)(host, port)
    except AddressForbidden as error:
        return f"{error}."
    except (LinkUnavailable, TimeoutError):
        return None
    return None


def identity_fault(identity: str) -> str | None:
    """What is wrong with the files of a TLS identity, for a form."""
    folder = folder_of(identity)
    try:
        fault = async_to_sync(_identity_fault)(folder)
    except TimeoutError:
        fault = f"TLS: {folder} could not be read within {LOOK_S:g} s"
    return f"{fault}." if fault else None


async def _identity_fault(folder: Path) -> str | None:
    async with asyncio.timeout(LOOK_S):
        return await tls.fault_of(folder)


async def _require_allowed(host: str, port: int) -> None:
    async with asyncio.timeout(LOOK_S):
        await names.allowed_addresses(host, port, networks())


def _database() -> Iterator[Service]:
    known: Mapping[str, Any] = settings.DATABASES["default"]
    if known["ENGINE"].endswith("sqlite3"):
        return
    port = int(known.get("PORT") or POSTGRESQL)
    for host in str(known.get("HOST") or "localhost").split(","):
        # A folder is that of its local socket; it listens on a port all the same.
        yield Service(name="the database", host="localhost" if host.startswith("/") else host, port=port)


def _redis() -> Iterator[Service]:
    at = urlsplit(settings.REDIS_URL)
    if at.hostname:
        yield Service(name="Redis", host=at.hostname, port=at.port or REDIS)
