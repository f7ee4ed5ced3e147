"""At a running site: an engineer describes a machine, the MES starts it, somebody guesses a password; all is told."""

import asyncio
from collections import Counter

import httpx
import pytest
from channels.db import database_sync_to_async
from django.contrib.auth.models import User

from devices.control.audit_chain import walk
from devices.models import AuditEntry
from tests.control.chain import change_of, told
from tests.hashing import QUICK, STOCK, hash_at
from tests.journeys.engineer import Engineer
from tests.journeys.test_batch_from_admin_to_answer import ADMIN, PASSWORD, PRESS, engineer, key
from tests.serving.process import RunningServer

__all__ = ["engineer", "key"]

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def registry(transactional_db: None) -> None:
    """Nothing is registered; an engineer may log in."""
    hash_at(STOCK)  # else the server would hash it anew at the login, and the audit tell of it
    User.objects.create_superuser("engineer", password=PASSWORD)
    hash_at(QUICK)


@database_sync_to_async
def entries(**wanted: str) -> list[AuditEntry]:
    return told(**wanted)


class TestTheAudit:
    async def test_tells_who_did_what_from_where(
        self, engineer: Engineer, key: str, mes: httpx.AsyncClient, server: RunningServer
    ) -> None:
        assert (await mes.put(PRESS, json={"batsize": 20, "noksize": 5})).status_code == 200
        async with httpx.AsyncClient(base_url=server.url) as stranger:
            form = await Engineer(stranger).open("/admin/login/?next=/admin/")
            form.fields |= {"username": "engineer", "password": "1234"}
            await Engineer(stranger).send(form)
        here = [entry for entry in await entries() if entry.source == "127.0.0.1"]
        assert Counter((entry.actor, entry.action, entry.kind) for entry in here) == {
            ("user engineer", "logged_in", "User"): 1,
            ("user engineer", "added", "Profile"): 1,
            ("user engineer", "added", "Tag"): 6,
            ("user engineer", "added", "Command"): 1,
            ("user engineer", "added", "Parameter"): 2,
            ("user engineer", "added", "Step"): 8,
            ("user engineer", "added", "PLC"): 1,
            ("user engineer", "key_made", "API key"): 1,
            ("user engineer", "added", "Grant"): 1,
            ("key mes-line-7", "commanded", "Run"): 1,
            ("anonymous", "login_failed", "User"): 1,
        }
        assert key.split("_")[3] not in str([vars(entry) for entry in await entries()])
        await database_sync_to_async(walk)()

    async def test_mixes_up_nobody_where_all_act_at_once(
        self, engineer: Engineer, key: str, mes: httpx.AsyncClient
    ) -> None:
        plc = (await mes.get("/api/plcs")).json()["plcs"][0]["id"]
        form = await engineer.open(f"{ADMIN}/plc/{plc}/change/")

        async def edit() -> None:
            for n in range(8):
                form.fields["title"] = f"Press {n}"
                await engineer.save(form)

        async def start() -> None:
            for n in range(8):
                await mes.put(PRESS, json={"batsize": n + 1, "noksize": 5})

        await asyncio.gather(edit(), start(), start())
        changed = await entries(kind="PLC", action="changed")
        assert [(entry.actor, change_of(entry)[1]["title"]) for entry in changed] == [
            ("user engineer", f"Press {n}") for n in range(8)
        ]
        assert {entry.actor for entry in await entries(action="commanded")} == {"key mes-line-7"}
        assert len(await entries(action="commanded")) == 16
        assert await entries(action="changed", kind="API key") == []
        await database_sync_to_async(walk)()
