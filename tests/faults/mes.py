"""A MES that asks for numbered jobs and remembers what it was told of each."""

import asyncio
from itertools import count
from typing import Any

import httpx

from tests.faults.mortal_gateway import MortalGateway
from tests.faults.numbered_press import NumberedPress, command_of, is_plain

ANSWER_S = 30.0  # no fault may keep a caller longer


class Mes:
    """Jobs are numbered through, over all presses; `told` and `unanswered` are by number."""

    def __init__(self, gateway: MortalGateway, key: str, presses: list[NumberedPress]) -> None:
        self.told: dict[int, dict[str, Any] | None] = {}
        """The run of each answer; None where the answer made none."""
        self.answers: dict[int, tuple[int, Any]] = {}
        """Status and body of each answer that told of a run at its end."""
        self.unanswered: set[int] = set()
        self.presses = presses
        self._gateway = gateway
        self._headers = {"X-API-Key": key}
        self._numbers = count(1)

    @property
    def started(self) -> list[int]:
        """What the machines were told and carried out."""
        return [number for press in self.presses for number in (*press.started, *press.knocked)]

    @property
    def reached(self) -> set[int]:
        """Jobs whose trigger arrived at a machine, carried out or not."""
        return {number for press in self.presses for number in press.reached}

    def forget(self) -> None:
        """All jobs so far, and what the presses had in mind for them; the numbers go on."""
        self.told.clear()
        self.answers.clear()
        self.unanswered.clear()
        for press in self.presses:
            press.forget()

    def new_job(self, press: int, misdeed: str | None = None, *, plain: bool | None = None) -> int:
        """A number that was never asked for, and what the press does wrong with it; `plain`: whether it must be."""
        numbers = (next(self._numbers) * len(self.presses) + press for _ in count())
        number = next(number for number in numbers if plain in (None, is_plain(number)))
        if misdeed is not None:
            self.presses[press].plan[number] = misdeed
        return number

    async def ask(self, number: int, *, patience_s: float = ANSWER_S) -> httpx.Response | None:
        """Ask for a job. None: not answered, since the gateway died, or the caller's patience ended and he hung up."""
        self.unanswered.add(number)
        address = f"{self._gateway.url}/api/plcs/press-{number % len(self.presses)}/commands/{command_of(number)}"
        headers = {**self._headers, "Idempotency-Key": f"job-{number}"}
        try:
            # A connection of its own, which hanging up closes. Without `verify=False` each would load all CAs.
            async with asyncio.timeout(patience_s), httpx.AsyncClient(timeout=None, verify=False) as client:
                answer = await client.post(address, json={"number": number}, headers=headers)
        except (httpx.TransportError, TimeoutError):
            assert patience_s < ANSWER_S or self._gateway.is_ending, "the gateway lives and does not answer"
            return None
        self._note(number, answer)
        return answer

    async def ask_again(self, *, answered: int = 0) -> None:
        """Each open request once more, under its key: it is answered, and nothing is done twice.

        So are those that were `answered` last, as many as said: they get the same answer.
        """
        again = self.unanswered.union(list(self.answers)[len(self.answers) - answered :] if answered else ())
        await asyncio.gather(*(self.ask(number) for number in sorted(again)))

    def _note(self, number: int, answer: httpx.Response) -> None:
        is_again = number in self.answers
        body = answer.json()
        if answer.status_code == 202:  # joined it, and it is still under way
            return
        run = body if answer.status_code == 200 else body.get("run")
        assert run is not None or answer.status_code == 503, answer.text
        if run is not None:
            told = self.answers.setdefault(number, (answer.status_code, body))
            assert (answer.status_code, body) == told, "told two things of one job"
            assert not is_again or answer.headers.get("Idempotency-Replayed") == "true", "a replay passes for a start"
        assert run is not None or number not in self.answers, "a run that was told is not known any more"
        self.told[number] = run
        self.unanswered.discard(number)
