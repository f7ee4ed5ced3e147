"""A MES that asks for numbered jobs, hangs up now and then, and remembers what it was told."""

import asyncio
from contextlib import suppress
from itertools import count
from random import Random
from typing import Any

import httpx

from tests.faults.mortal_gateway import MortalGateway
from tests.faults.numbered_press import MISDEEDS, NumberedPress

KEYS_WORK = False
"""Whether the gateway minds Idempotency-Key: an open request is then asked again under its key."""
FAULTY = 0.2  # of all commands
HANGING_UP = 0.1
DOOR_OPEN = 0.05
ANSWER_S = 20.0  # no fault may keep a caller longer


class Mes:
    """Jobs are numbered through, over all presses; `told` and `unanswered` are by number."""

    def __init__(self, gateway: MortalGateway, key: str, presses: list[NumberedPress], random: Random) -> None:
        self.told: dict[int, dict[str, Any] | None] = {}
        """The run of each answer; None where the answer made none."""
        self.unanswered: set[int] = set()
        self._gateway = gateway
        self._headers = {"X-API-Key": key}
        self._presses = presses
        self._random = random
        self._numbers = count(1)

    async def work(self, callers: int = 5) -> None:
        """Ask for one job after the other, until the gateway dies under all of them."""
        async with asyncio.TaskGroup() as group:
            for _ in range(callers):
                group.create_task(self._work())

    async def _work(self) -> None:
        while self._gateway.server.process.poll() is None:
            number = next(self._numbers)
            self._misbehave_with(number)
            with suppress(httpx.HTTPError, TimeoutError):
                await self.ask(number, patience_s=self._patience_s())

    def _misbehave_with(self, number: int) -> None:
        press = self._press_of(number)
        press.open_door(self._random.random() < DOOR_OPEN)
        if self._random.random() < FAULTY:
            press.plan[number] = self._random.choice(MISDEEDS)

    def _patience_s(self) -> float:
        return self._random.uniform(0.0, 0.2) if self._random.random() < HANGING_UP else ANSWER_S

    async def ask(self, number: int, *, patience_s: float = ANSWER_S) -> httpx.Response:
        """Ask for a job; who is not answered in time hangs up. Asked again, it is under the same key."""
        self.unanswered.add(number)
        headers = {**self._headers, "Idempotency-Key": f"job-{number}"}
        plc = self._presses.index(self._press_of(number))
        async with httpx.AsyncClient(base_url=self._gateway.url, headers=headers, timeout=None) as client:  # noqa: S113
            async with asyncio.timeout(patience_s):
                answer = await client.post(f"/api/plcs/press-{plc}/commands/make", json={"number": number})
        self._note(number, answer)
        return answer

    async def ask_again(self) -> None:
        """Each open request once more, under its key: it is answered, and nothing is done twice."""
        if KEYS_WORK:
            await asyncio.gather(*(self.ask(number) for number in sorted(self.unanswered)))

    def _note(self, number: int, answer: httpx.Response) -> None:
        body = answer.json()
        self.told[number] = body if answer.status_code == 200 else body.get("run")
        assert self.told[number] is not None or answer.status_code == 503, answer.text
        self.unanswered.discard(number)

    def _press_of(self, number: int) -> NumberedPress:
        return self._presses[number % len(self._presses)]
