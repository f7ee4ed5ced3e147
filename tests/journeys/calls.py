"""Calls of a MES, each told apart by its batch size, and whether callers, records and the machine tell the same."""

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any

import httpx

from devices.models import State
from tests.serving.records import stored_runs

PROBLEM = "application/problem+json"
REFUSALS = ("queue-full", "run-failed")


async def start(mes: httpx.AsyncClient, size: int, plc: str = "press-1") -> httpx.Response:
    """Start a batch of so many parts."""
    return await mes.put(f"/api/start/{plc}", json={"batsize": size})


async def start_at_once(mes: httpx.AsyncClient, sizes: Iterable[int]) -> list[httpx.Response]:
    """All of them click in the same moment."""
    return await asyncio.gather(*(start(mes, size) for size in sizes))


def is_success(answer: httpx.Response) -> bool:
    return answer.status_code == 200


def refusal_of(answer: httpx.Response) -> str:
    """The code of a clear refusal: the machine was not told, in plain words, and when to ask again."""
    told = answer.json()
    code = told["type"].rpartition(":")[2]
    assert (answer.status_code, told["status"], answer.headers["content-type"]) == (503, 503, PROBLEM), told
    assert code in REFUSALS
    assert len(told["detail"]) > 20
    assert int(answer.headers["retry-after"]) >= 1
    if "run" in told:
        assert (told["run"]["state"], told["run"]["effect"], told["run"]["retry"]) == ("failed", "none", "safe")
    return str(code)


def run_of(answer: httpx.Response) -> dict[str, Any] | None:
    """The run that an answer tells of; None where the refusal made none. Any other answer fails."""
    if not is_success(answer):
        refusal_of(answer)
        return answer.json().get("run")
    run: dict[str, Any] = answer.json()
    assert (run["state"], run["effect"]) == ("succeeded", "applied")
    return run


async def require_agreement(answers: Sequence[httpx.Response], batches: Sequence[int]) -> None:
    """What the callers were told is what is stored, and what succeeded is what the machine saw, each once."""
    told = [run for run in map(run_of, answers) if run is not None]
    stored = await stored_runs()
    assert {run["id"]: run["state"] for run in told} == {run.pk: run.state for run in stored}
    assert len(told) == len(stored), "a run was told to two callers"
    succeeded = [run.parameters["batch_size"] for run in stored if run.state == State.SUCCEEDED]
    assert sorted(batches) == sorted(succeeded)
    assert sorted(batches) == sorted(run["parameters"]["batch_size"] for run in told if run["state"] == "succeeded")
