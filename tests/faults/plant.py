"""All that a promise is about, for a test that is no coroutine: presses, a gateway that dies, a MES, an engineer."""

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

import httpx
from channels.db import database_sync_to_async
from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client

from devices.models import PLC, Run
from tests.admin.pages import ADMIN, fields_of
from tests.faults import promises
from tests.faults.mes import ANSWER_S, Mes
from tests.faults.mortal_gateway import MortalGateway
from tests.serving.records import stored_runs, stored_states

T = TypeVar("T")

CALL_S = 90.0  # for any one thing that a test does here
REST_S = 30.0  # until the runs whose callers hung up are settled
CSRF = "c" * 32


class Plant:
    """Lives on the event loop that made it; `run` is for another thread."""

    def __init__(self, gateway: MortalGateway, mes: Mes) -> None:
        self.gateway = gateway
        self.mes = mes
        self._loop = asyncio.get_running_loop()

    def run(self, doing: Coroutine[Any, Any, T]) -> T:
        """Do something on the plant's loop and wait for it."""
        return asyncio.run_coroutine_threadsafe(doing, self._loop).result(CALL_S)

    async def begin(self) -> None:
        """A plant without a past: at rest, doors closed, all enabled, no record. Also where the last test broke off."""
        if self.gateway.is_ending or await self._is_busy():
            await self.gateway.start()
        for press, machine in enumerate(self.mes.presses):
            machine.open_door(False)
            await self.enable(press, True)
        await self._rest()
        await database_sync_to_async(Run.objects.all().delete)()
        self.mes.forget()

    async def ask(self, numbers: Sequence[int], *, patience_s: float = ANSWER_S) -> list[httpx.Response | None]:
        """All of these jobs in the same moment."""
        return await asyncio.gather(*(self.mes.ask(number, patience_s=patience_s) for number in numbers))

    async def enable(self, press: int, is_enabled: bool) -> None:
        """As an engineer does: tick the box on the PLC's page, and save."""
        address, fields, session = await _page_of(f"press-{press}")
        sent = {**fields, "is_enabled": "on", "csrfmiddlewaretoken": CSRF, "_save": "Save"}
        if not is_enabled:
            del sent["is_enabled"]
        cookies = {settings.SESSION_COOKIE_NAME: session, settings.CSRF_COOKIE_NAME: CSRF}
        async with httpx.AsyncClient(base_url=self.gateway.url, cookies=cookies, verify=False) as browser:
            answer = await browser.post(ADMIN + address, data=sent)
        assert answer.status_code == 302, answer.text

    async def change(self, press: int, is_enabled: bool, numbers: Sequence[int]) -> None:
        """Enable or disable a PLC with these jobs under way: each is run, or told that the PLC is disabled."""
        await asyncio.gather(self.ask(numbers), self.enable(press, is_enabled))

    async def restart(self, numbers: Sequence[int]) -> None:
        """End with these jobs under way, and come up again."""
        asking = asyncio.create_task(self.ask(numbers))
        await asyncio.sleep(0.02)
        assert await self.gateway.end() == 0
        await asking
        await self._come_up()

    async def crash(self, point: str | None, delay_s: float, numbers: Sequence[int]) -> None:
        """Die at a point, or at any moment, with these jobs under way; where none comes to the point, after them."""
        if point is not None:
            self.gateway.die_at(point)
        asking = asyncio.create_task(self.ask(numbers))
        if point is None:
            await asyncio.sleep(delay_s)
            self.gateway.kill()
        await asking
        self.gateway.kill()
        await self.gateway.dead()
        await self._come_up()

    async def _come_up(self) -> None:
        await self.gateway.start()
        promises.nothing_open(await stored_runs())

    async def come_to_rest(self) -> None:
        """What nobody was answered is asked again, all is settled, and then every promise is kept."""
        await self.mes.ask_again()
        await self._rest()
        await promises.are_kept(self.mes)

    async def _rest(self) -> None:
        async with asyncio.timeout(REST_S):
            while await self._is_busy():  # noqa: ASYNC110 - rows fire no event
                await asyncio.sleep(0.02)

    async def _is_busy(self) -> bool:
        return bool({"queued", "running"} & set(await stored_states()))


@database_sync_to_async
def _page_of(name: str) -> tuple[str, dict[str, Any], str]:
    """The page of a PLC, its fields, and the session of an engineer."""
    client = Client()
    client.force_login(User.objects.filter(is_superuser=True).first() or User.objects.create_superuser("engineer"))
    address = f"plc/{PLC.objects.get(name=name).pk}/change/"
    return address, fields_of(client, address), client.cookies[settings.SESSION_COOKIE_NAME].value
