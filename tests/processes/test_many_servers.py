"""One PLC, three servers: no run lost, none told twice, whoever of them dies or stands still."""

import asyncio
import os
import signal
from collections import Counter
from pathlib import Path

import pytest

from devices.models import PLC, Run, State
from tests.control.databases import elsewhere
from tests.doubles.redis import NEEDS_REDIS
from tests.doubles.wire import Exchange
from tests.faults import promises
from tests.faults.numbered_press import ORDER, PROBE, NumberedPress
from tests.processes.servers import Mes, kill_runner, number_in, open_runs, servers, until
from tests.serving.records import stored_runs

pytestmark = [NEEDS_REDIS, pytest.mark.django_db(transaction=True)]

JOBS = 100
AT_ONCE = 20
SETTLED_S = 25.0  # a dead server's runs are settled within some 10 s; this computer may have more to do


async def ask_all(mes: Mes, numbers: list[int]) -> None:
    """All of them, some at once."""
    room = asyncio.Semaphore(AT_ONCE)

    async def ask(number: int) -> None:
        async with room:
            await mes.ask(number)

    await asyncio.gather(*map(ask, numbers))


async def kept(press: NumberedPress) -> list[Run]:
    """The runs, held against what the machine saw."""
    runs = await stored_runs()
    started = [*press.started, *press.knocked]
    promises.nothing_open(runs)
    promises.never_twice(started)
    promises.never_lost(runs, started)
    promises.never_false(runs, started)
    promises.never_told_untold(runs, press.reached)
    return runs


class TestAHundredCommands:
    async def test_through_three_servers_one_of_which_is_killed_are_each_done_once_or_known_not_to_be(
        self, registry: PLC, press: NumberedPress, environment: dict[str, str], key: str, tmp_path: Path
    ):
        async with servers(3, tmp_path, environment) as running:
            mes, dead = Mes(running, key), []
            asking = asyncio.create_task(ask_all(mes, list(range(1, JOBS + 1))))
            assert await until(lambda: len(mes.told) >= JOBS // 5, 60)
            # Its trigger has arrived and was carried out, and its server does not live to hear the answer.
            press.kill_on_trigger(lambda: dead.append(kill_runner()))
            assert await until(lambda: bool(dead))
            assert await until(lambda: not elsewhere(lambda: _open_of(dead[0])), SETTLED_S)
            await asking
            runs = await kept(press)
            assert len(runs) == JOBS == len(mes.told)
            assert mes.went_on, "nobody was in the middle of it"
            for run in runs:
                number = promises.number_of(run)
                assert mes.told[number][1]["id"] == run.pk, "a job's second caller got another run"
                assert mes.told[number][1]["state"] == run.state
            ends = Counter(State(run.state) for run in runs)
            assert ends[State.UNKNOWN] >= 1
            assert ends[State.SUCCEEDED] >= JOBS // 2
            assert set(ends) <= {State.SUCCEEDED, State.UNKNOWN, State.FAILED}
            of_dead = [run for run in runs if number_in(run.process) == dead[0]]
            assert {run.state for run in of_dead} >= {State.SUCCEEDED, State.UNKNOWN}
            assert len({run.process for run in runs}) == 3
            assert press.double.peak_connections == 1
            again = [promises.number_of(run) for run in runs if run.retry == "safe"]
            await ask_all(mes, [JOBS * 3 + number for number in again])
            done = {promises.number_of(run) for run in await kept(press) if run.state == State.SUCCEEDED}
            assert {JOBS * 3 + number for number in again} <= done
            assert press.double.peak_connections == 1

    async def test_are_one_run_each_where_every_server_is_asked_at_once_under_the_same_key(
        self, registry: PLC, press: NumberedPress, environment: dict[str, str], key: str, tmp_path: Path
    ):
        async with servers(3, tmp_path, environment) as running:
            mes = Mes(running, key)
            answers = await asyncio.gather(*(mes.ask(number, at) for number in range(1, 11) for at in running))
            runs = await kept(press)
            assert [run.state for run in runs] == [State.SUCCEEDED] * 10
            assert {answer.status_code for answer in answers} == {200}
            assert [answer.headers.get("Idempotency-Replayed") for answer in answers].count("true") == 20
            assert press.double.peak_connections == 1


def _open_of(process: int) -> bool:
    open_runs = Run.objects.filter(state__in=[State.QUEUED, State.RUNNING])
    return any(number_in(run.process) == process for run in open_runs)


class TestAServerThatStandsStill:
    @pytest.mark.parametrize(("job", "state"), [(1, State.FAILED), (3, State.UNKNOWN)])
    async def test_has_its_run_settled_by_another_and_tells_the_machine_nothing_when_it_goes_on(
        self,
        registry: PLC,
        press: NumberedPress,
        environment: dict[str, str],
        key: str,
        tmp_path: Path,
        job: int,
        state: State,
    ):
        """Job 1 looks before its trigger, and has told that it comes only then; job 3 looks at nothing."""
        async with servers(2, tmp_path, environment) as running:
            mes, frozen = Mes(running, key), []
            freeze_at_first_write_or_look(press, frozen)
            asking = asyncio.create_task(mes.ask(job, running[0]))
            assert await until(lambda: bool(frozen))
            assert frozen == [running[0].process.pid]
            assert await until(lambda: not open_runs(), SETTLED_S)
            (settled,) = await stored_runs()
            assert settled.state == state
            assert "stood still for too long" in settled.detail
            answer = await mes.ask(4, running[1])
            assert answer.status_code == 200, answer.text
            os.kill(frozen[0], signal.SIGCONT)
            assert (await asking).json()["run"]["id"] == settled.pk
            runs = await kept(press)
            assert (runs[0].state, runs[0].version) == (state, settled.version), "it was settled once"
            assert press.started == [4]
            assert press.knocked == []
            assert (await mes.ask(7, running[0])).status_code == 200, "it goes on serving"


def freeze_at_first_write_or_look(press: NumberedPress, frozen: list[int]) -> None:
    """Stop the process whose order arrives first, or whose read that proves a connection: the answer waits for it."""

    def freeze() -> None:
        frozen.append(kill_runner(signal.SIGSTOP))

    async def freeze_first(exchange: Exchange) -> None:
        freeze()
        await exchange.answer()

    press.double.on_write(ORDER, lambda _: frozen or freeze())
    press.double.misbehave(freeze_first, at=PROBE, functions=(3,))
