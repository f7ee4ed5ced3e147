"""Which PLCs there are, and what is known of them."""

import pytest
from django.test import AsyncClient

from devices.models import PLC
from tests.api.callers import problem_of, put
from tests.doubles.fault_server import FaultServer

pytestmark = pytest.mark.django_db(transaction=True)

PRESS = "/api/plcs/press-1"


class TestThePLCs:
    async def test_are_listed_by_name(self, mes: AsyncClient):
        told = (await mes.get("/api/plcs")).json()["plcs"]
        assert [plc["name"] for plc in told] == ["mixer-1", "oven-1", "packer-1", "press-1", "press-2"]

    async def test_are_found_by_name_and_by_number(self, mes: AsyncClient, press: PLC):
        told = (await mes.get(PRESS)).json()
        assert told == (await mes.get(f"/api/plcs/{press.pk}")).json()
        assert (told["id"], told["profile"], told["title"]) == (press.pk, "batch-machine", press.title)

    async def test_do_not_tell_where_they_are_in_the_network(self, mes: AsyncClient, machine: FaultServer):
        assert str(machine.port) not in (await mes.get(PRESS)).content.decode()

    async def test_are_not_found_by_another_name(self, mes: AsyncClient):
        problem_of(await mes.get("/api/plcs/press-9"), 404, "unknown-plc")

    async def test_are_shown_as_the_admin_changes_them(self, mes: AsyncClient, change):
        await change(title="The new press")
        assert (await mes.get(PRESS)).json()["title"] == "The new press"


class TestTheState:
    async def state(self, mes: AsyncClient) -> str:
        """As the API tells it, in both places alike."""
        listed = next(plc for plc in (await mes.get("/api/plcs")).json()["plcs"] if plc["name"] == "press-1")
        assert listed == (await mes.get(PRESS)).json()
        return listed["state"]

    async def test_is_unknown_until_somebody_talked_to_it(self, mes: AsyncClient, machine: FaultServer):
        assert await self.state(mes) == "unknown"
        assert machine.connects == 0

    async def test_is_online_after_it_answered(self, mes: AsyncClient):
        await put(mes, "/api/start/press-1")
        assert await self.state(mes) == "online"

    async def test_is_offline_with_a_reason_after_it_failed(self, mes: AsyncClient, machine: FaultServer):
        await machine.refuse_connects()
        for _ in range(3):
            problem_of(await put(mes, "/api/start/press-1"), 503, "run-failed")
        assert await self.state(mes) == "offline"
        assert "refused" in (await mes.get(PRESS)).json()["reason"]

    async def test_is_disabled_where_an_engineer_says_so(self, mes: AsyncClient, change):
        await put(mes, "/api/start/press-1")
        await change(is_enabled=False)
        assert await self.state(mes) == "disabled"
