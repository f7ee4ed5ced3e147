"""How far a key reaches: until when, from where, and with what it was granted; in every process at once."""

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.http import HttpResponse
from django.test import AsyncClient
from django.utils import timezone

from devices.api import keys
from devices.control import kept
from devices.control.gateway import Gateway
from devices.models import APIKey, Grant, stamps
from tests.api.callers import problem_of, put, until
from tests.control.databases import elsewhere
from tests.doubles.fault_server import FaultServer
from tests.serving.process import database_url, manage

pytestmark = pytest.mark.django_db(transaction=True)

PLCS = "/api/plcs"


def refused(answer: HttpResponse) -> bytes:
    """The words of the 401 that it is."""
    problem_of(answer, 401, "unauthorized")
    return answer.content


async def change(**fields: Any) -> None:
    """Change the one key as the admin does, but for its checks."""
    row = await APIKey.objects.aget()
    for name, value in fields.items():
        setattr(row, name, value)
    await row.asave()


class ClientAt(AsyncClient):
    """Calls from another address."""

    def __init__(self, source: str, **defaults: Any) -> None:
        super().__init__(**defaults)
        self.source = source

    def _base_scope(self, **request: Any) -> dict[str, Any]:
        return {**super()._base_scope(**request), "client": [self.source, 1]}


class TestAnExpiry:
    async def test_ends_a_key_at_its_moment(self, mes: AsyncClient):
        await change(expires_at=timezone.now() + timedelta(seconds=2))
        assert (await mes.get(PLCS)).status_code == 200
        await asyncio.sleep(2)
        refused(await mes.get(PLCS))

    async def test_tells_no_more_than_an_unknown_key(self, mes: AsyncClient, machine: FaultServer):
        unknown = AsyncClient(X_API_KEY=APIKey().issue())
        await change(expires_at=timezone.now() - timedelta(seconds=1))
        assert refused(await put(mes, "/api/start/press-1")) == refused(await put(unknown, "/api/start/press-1"))
        assert machine.requests == []


class TestSourceNetworks:
    @pytest.mark.parametrize("source", ["10.1.0.1", "10.1.255.255", "10.2.3.4", "::ffff:10.1.0.1", "fd00::7"])
    async def test_serve_those_who_call_from_there(self, mes: AsyncClient, key: str, source: str):
        await change(networks="10.1.0.0/16, 10.2.3.4,fd00::/8")
        assert (await ClientAt(source, X_API_KEY=key).get(PLCS)).status_code == 200

    @pytest.mark.parametrize("source", ["10.2.0.1", "127.0.0.1", "::1", "::ffff:10.2.0.1", "", "unix", "10.1.0.1, x"])
    async def test_refuse_all_others_like_an_unknown_key(self, mes: AsyncClient, key: str, source: str):
        await change(networks="10.1.0.0/16, 10.2.3.4,fd00::/8")
        unknown = ClientAt(source, X_API_KEY=APIKey().issue())
        assert refused(await ClientAt(source, X_API_KEY=key).get(PLCS)) == refused(await unknown.get(PLCS))

    async def test_are_not_opened_by_a_forwarded_address(self, mes: AsyncClient):
        await change(networks="10.1.0.0/16")
        refused(await mes.get(PLCS, headers={"X-Forwarded-For": "10.1.0.1", "Forwarded": "for=10.1.0.1"}))

    @pytest.mark.parametrize("networks", ["127.0.0.1/8", "127.0.0", "anywhere", ",", " ", "127.0.0.1; 10.0.0.1"])
    async def test_that_cannot_be_read_open_nothing(self, mes: AsyncClient, networks: str):
        await change(networks=networks)
        refused(await mes.get(PLCS))


class TestAnotherProcess:
    async def run(self, code: str, tmp_path: Path) -> None:
        """Python with the product's models, in a process whose signals are not heard here."""
        environment = {"DATABASE_URL": database_url(connection)}
        done = await asyncio.to_thread(manage, tmp_path, "shell", "-c", code, env=environment)
        assert done.returncode == 0, done.stderr

    async def test_revokes_a_key_and_the_next_call_is_refused(
        self, mes: AsyncClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ):
        monkeypatch.setattr(kept, "KEPT_S", 3600)
        assert (await mes.get(PLCS)).status_code == 200
        found = "from devices.models import APIKey; key = APIKey.objects.get()"
        await self.run(f"{found}; key.revoked_at = key.created_at; key.save()", tmp_path)
        refused(await mes.get(PLCS))

    async def test_takes_a_right_away_and_the_next_call_lacks_it(
        self, mes: AsyncClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ):
        monkeypatch.setattr(kept, "KEPT_S", 3600)
        assert len((await mes.get(PLCS)).json()["plcs"]) == 5
        await self.run("from devices.models import Grant; Grant.objects.all().delete()", tmp_path)
        assert (await mes.get(PLCS)).json() == {"plcs": []}

    async def test_that_writes_past_the_product_is_seen_a_little_later(
        self, mes: AsyncClient, monkeypatch: pytest.MonkeyPatch
    ):
        monkeypatch.setattr(keys, "LOOK_S", 0)
        monkeypatch.setattr(kept, "KEPT_S", 0.0)
        assert (await mes.get(PLCS)).status_code == 200
        elsewhere(lambda: APIKey.objects.update(revoked_at=timezone.now()))
        async with asyncio.timeout(10):
            while (answer := await mes.get(PLCS)).status_code == 200:
                pass
        refused(answer)


class TestTheLook:
    async def test_reads_the_keys_again_only_where_the_stamp_has_moved(
        self, mes: AsyncClient, monkeypatch: pytest.MonkeyPatch
    ):
        read = []
        of = keys.KnownKey.of
        monkeypatch.setattr(keys.KnownKey, "of", lambda row: read.append(row.name) or of(row))
        monkeypatch.setattr(keys, "LOOK_S", 0)
        for _ in range(5):
            await mes.get(PLCS)
        assert read == ["mes-line-1"]
        await (await Grant.objects.afirst()).adelete()
        await mes.get(PLCS)
        assert read == ["mes-line-1"] * 2

    async def test_that_takes_long_is_not_repeated_for_ever(self, mes: AsyncClient, monkeypatch: pytest.MonkeyPatch):
        look, looks = stamps.versions, []

        monkeypatch.setattr(stamps, "versions", lambda: looks.append(1) or look())
        monkeypatch.setattr(keys, "LOOK_S", 0)
        async with asyncio.timeout(10):
            assert (await mes.get(PLCS)).status_code == 200
        assert len(looks) <= 2


class TestTheUse:
    async def test_is_noted_of_a_call_that_is_let_in(self, mes: AsyncClient, gateway: Gateway):
        began = timezone.now()
        await mes.get(PLCS)
        await until(lambda: elsewhere(lambda: APIKey.objects.get().last_used_at))
        assert (await APIKey.objects.aget()).last_used_at >= began

    async def test_is_not_noted_of_a_call_that_is_refused(self, mes: AsyncClient, gateway: Gateway):
        await change(networks="10.0.0.0/8")
        refused(await mes.get(PLCS))
        await gateway.last_uses.stop()
        assert (await APIKey.objects.aget()).last_used_at is None
