"""For whom a proxy calls: believed of those that are listed, of nobody else."""

from ipaddress import ip_network
from typing import Any

import pytest

from plcsite.proxies import BehindProxies

TRUSTED = [ip_network("10.0.0.0/8"), ip_network("2001:db8::/32")]
PROXY = "10.0.0.1"
STRANGER = "203.0.113.9"


async def seen(peer: str, *headers: tuple[str, str], scheme: str = "http", kind: str = "http") -> dict[str, Any]:
    """The scope that the application gets."""
    scopes: list[dict[str, Any]] = []

    async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
        scopes.append(scope)

    raw = [(name.lower().encode(), value.encode()) for name, value in headers]
    scope = {"type": kind, "client": [peer, 5000], "scheme": scheme, "headers": [(b"host", b"x"), *raw]}
    await BehindProxies(application, TRUSTED)(scope, None, None)
    return scopes[0]


class TestAStranger:
    async def test_stays_who_he_is_whatever_he_writes(self):
        forged = await seen(STRANGER, ("X-Forwarded-For", "6.6.6.6"), ("X-Forwarded-Proto", "https"))
        assert (forged["client"][0], forged["scheme"]) == (STRANGER, "http")

    async def test_leaves_nothing_for_anybody_else_to_believe(self):
        names = ("X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-Port", "Forwarded")
        assert (await seen(STRANGER, *((name, "6.6.6.6") for name in names)))["headers"] == [(b"host", b"x")]

    async def test_that_says_https_is_logged_once(self, caplog):
        async def nothing(*_: Any) -> None:
            pass

        proxies = BehindProxies(nothing, TRUSTED)
        scope = {"type": "http", "client": [STRANGER, 1], "headers": [(b"x-forwarded-proto", b"https")]}
        for _ in range(3):
            await proxies(scope, None, None)
        assert [STRANGER in record.getMessage() for record in caplog.records] == [True]
        assert "TRUSTED_PROXIES" in caplog.text


class TestAProxy:
    @pytest.mark.parametrize(
        ("said", "caller"),
        [
            ("198.51.100.7", "198.51.100.7"),
            ("6.6.6.6, 198.51.100.7", "198.51.100.7"),
            ("6.6.6.6, 198.51.100.7, 10.0.0.2", "198.51.100.7"),
            ("10.9.9.9, 10.0.0.2", "10.9.9.9"),
            ("198.51.100.7:4711", "198.51.100.7"),
            ("[2001:4860::8888]:4711", "2001:4860::8888"),
            ("2001:4860::8888", "2001:4860::8888"),
            ("::ffff:198.51.100.7", "198.51.100.7"),
            ("6.6.6.6, unknown, 10.0.0.2", "10.0.0.2"),
            ("nonsense", PROXY),
            ("", PROXY),
        ],
    )
    async def test_tells_the_last_address_before_the_listed_ones(self, said: str, caller: str):
        assert (await seen(PROXY, ("X-Forwarded-For", said)))["client"][0] == caller

    async def test_may_write_the_header_anew_in_place_of_adding_to_it(self):
        told = await seen(PROXY, ("X-Forwarded-For", "6.6.6.6"), ("X-Forwarded-For", "198.51.100.7"))
        assert told["client"][0] == "198.51.100.7"

    async def test_may_be_reached_by_ipv6(self):
        for peer in ("2001:db8::1", "::ffff:10.0.0.1"):
            assert (await seen(peer, ("X-Forwarded-For", "198.51.100.7")))["client"][0] == "198.51.100.7"

    async def test_tells_that_the_caller_came_over_https(self):
        assert (await seen(PROXY, ("X-Forwarded-Proto", "https")))["scheme"] == "https"
        assert (await seen(PROXY, ("X-Forwarded-Proto", "http")))["scheme"] == "http"
        # What a caller wrote stands left of what the proxy added.
        assert (await seen(PROXY, ("X-Forwarded-Proto", "https, http")))["scheme"] == "http"

    async def test_is_heard_for_sockets_too(self):
        said = ("X-Forwarded-For", "198.51.100.7"), ("X-Forwarded-Proto", "https")
        told = await seen(PROXY, *said, scheme="ws", kind="websocket")
        assert (told["client"][0], told["scheme"]) == ("198.51.100.7", "wss")

    async def test_that_says_nothing_changes_nothing(self):
        assert (await seen(PROXY))["client"] == [PROXY, 5000]
