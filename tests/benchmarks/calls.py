"""Have a server called and hold its answers against what the machines saw: a fast wrong answer counts for nothing."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict

from tests.benchmarks.load import NUMBER, Answers, Job
from tests.benchmarks.plcs import PLCs
from tests.benchmarks.processes import LOAD_CORE, ROOT, end, on_core

SECOND = 3  # what each command writes to its second register; the first gets a number of its own
GIVEN = f'{{"batch_size": {NUMBER}, "nok_num": {SECOND}}}'
"""The parameters of a command, for all sides."""
LOAD = [sys.executable, "-m", "tests.benchmarks.load"]


class Wrong(Exception):
    """A side did not do its work: no figure of it is worth anything."""


@contextmanager
def calling(job: Job) -> "Iterator[subprocess.Popen[str]]":
    """Callers at work in a process of their own; `answers_of` waits for them."""
    with on_core(LOAD_CORE):
        process = subprocess.Popen(LOAD, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdin is not None
        process.stdin.write(json.dumps(asdict(job)))
        process.stdin.close()
        yield process
    finally:
        end(process)


def answers_of(process: "subprocess.Popen[str]") -> Answers:
    """What they saw, once they are done."""
    assert process.stdout is not None
    text = process.stdout.read()
    if not text:
        raise Wrong(f"the callers ended with code {process.wait(5)}")
    return Answers(**json.loads(text))


def answers(job: Job) -> Answers:
    """Call, and wait until it is done."""
    with calling(job) as process:
        return answers_of(process)


def commands(job: Job, plcs: PLCs) -> Answers:
    """The same of commands that write two registers and set a coil, each of which must have reached its machine."""
    plcs.reset()
    found = answers(job)
    require_done(found, plcs)
    return found


def require_done(found: Answers, plcs: PLCs) -> None:
    """Wrong where an answer was not as it must be, or the machines got less or other than was asked for."""
    if found.faults:
        raise Wrong(f"wrong answers: {found.faults}")
    if not found.count:
        raise Wrong("no answer in time")
    seen = plcs.look()
    done = (seen.coil_writes, seen.words, seen.words_sum)
    asked = (found.numbers, 2 * found.numbers, found.numbers_sum + SECOND * found.numbers)
    if done != asked:
        raise Wrong(f"the machines saw {done} coils, registers and their sum, and not {asked}")
