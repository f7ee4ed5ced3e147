"""How a command may end, and the three who must agree on it: the caller, the record, the machine."""

import asyncio
import json
from dataclasses import dataclass
from typing import Any

from django.http import HttpResponse
from django.test import AsyncClient

from devices.models import PLC, Run
from tests.api.callers import post, problem_of
from tests.doubles.fault_server import FaultServer


@dataclass(frozen=True, kw_only=True, slots=True)
class End:
    """What must then be true."""

    status: int
    state: str
    effect: str
    retry: str

    def __str__(self) -> str:
        return self.state


SUCCEEDED = End(status=200, state="succeeded", effect="applied", retry="")
REJECTED = End(status=409, state="rejected", effect="none", retry="after_fix")
FAILED = End(status=503, state="failed", effect="none", retry="safe")
FAILED_FOR_GOOD = End(status=503, state="failed", effect="none", retry="after_fix")
REFUSED = End(status=502, state="faulted", effect="none", retry="after_fix")
TIMED_OUT = End(status=504, state="timed_out", effect="unknown", retry="after_reconcile")
UNKNOWN = End(status=504, state="unknown", effect="unknown", retry="after_reconcile")


async def call(mes: AsyncClient, command: str = "start_batch", *, plc: str = "press-1") -> HttpResponse:
    """Ask for a command over HTTP; no fault may keep the caller longer than this."""
    async with asyncio.timeout(10):
        body = {"batch_size": 12} if command == "start_batch" else None
        return await post(mes, f"/api/plcs/{plc}/commands/{command}", body)


async def ended(answer: HttpResponse, end: End) -> Run:
    """The stored run, proven to have ended so, as its caller was told."""
    told = _run_of(answer, end)
    run = await Run.objects.aget(pk=told["id"])
    assert (run.state, run.effect, run.retry) == (end.state, end.effect, end.retry), run.detail
    assert (told["state"], told["effect"], told["retry"]) == (end.state, end.effect, end.retry)
    assert run.detail == told["detail"] != ""
    assert run.finished_at is not None
    return run


def _run_of(answer: HttpResponse, end: End) -> dict[str, Any]:
    if end.status != 200:
        problem = problem_of(answer, end.status, f"run-{end.state.replace('_', '-')}")
        assert problem["detail"] == problem["run"]["detail"]
        return problem["run"]
    assert answer.status_code == 200, answer.content
    assert "Retry-After" not in answer
    return json.loads(answer.content)


def saw(machine: FaultServer, starts: list[int]) -> None:
    """The machine saw these values for `start`, the trigger at most once, and then nothing but its clearing."""
    assert machine.writes_to("start") == starts
    assert starts.count(1) <= 1
    told = [write.covers(*machine.names["start"]) for write in machine.writes]
    after = machine.writes[told.index(True) + 1 :] if True in told else []
    assert all(write.covers(*machine.names["start"]) and not any(write.values) for write in after)


async def next_one_succeeds(mes: AsyncClient, machine: FaultServer) -> None:
    """The machine behaves again: the turn is free, and nothing of the fault meets the next command."""
    machine.behave()
    before = len(machine.writes_to("start"))
    await ended(await call(mes), SUCCEEDED)
    assert machine.writes_to("start")[before:] == [1, 0]


async def is_registered(plc: PLC, **settings: Any) -> None:
    """Change a PLC's settings, as the admin does."""
    for name, value in settings.items():
        setattr(plc, name, value)
    await plc.asave()
