"""Callers of a server, a process of its own: `... load` reads a Job from stdin and tells what it saw.

HTTP/1.1 over kept connections by hand: a client library would cost more than the servers that are measured. Each
caller sends its next request once the one before was answered, and every answer is looked at.
"""

import asyncio
import gc
import itertools
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, cast

from tests.benchmarks.figures import percentile

NUMBER = "%NUMBER%"
"""Each such place in a body is filled with the next number, so that the machines can tell what has arrived."""
PATIENCE_S = 20.0  # for the last answer
LOWEST, HIGHEST = 10_000, 59_999  # all of five digits: the length of a body stays the same


@dataclass(frozen=True, kw_only=True)
class Target:
    """A request that is sent again and again."""

    method: str
    path: str
    body: str = ""
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Job:
    """What to do."""

    port: int
    callers: Sequence[Sequence[Target]]
    """For each caller the requests that it sends in turn."""
    seconds: float
    warm_up_s: float = 0.5
    """Before the answers count."""
    pause_s: float = 0.0
    """Of each caller after an answer."""
    status: int = 200
    """That every answer must have; 0: whichever."""
    holds: str = ""
    """Text that every answer must hold..."""
    times: int = 0
    """...so often."""


@dataclass(frozen=True, kw_only=True)
class Answers:
    """What the callers saw."""

    count: int
    """Within the seconds that count."""
    seconds: float
    latencies_ms: list[float]
    """Of each answer that counts, sorted."""
    sent: int
    """Requests in all, also while warming up."""
    numbers: int
    numbers_sum: int
    """Of the numbers in all answered requests."""
    faults: dict[str, int]
    """Answers that were not as they must be, and how often."""

    def rate(self) -> float:
        """Answers a second."""
        return self.count / self.seconds

    def p50_ms(self) -> float:
        """What half of them did not exceed."""
        return percentile(self.latencies_ms, 50)

    def p99_ms(self) -> float:
        """What all but one in a hundred did not exceed."""
        return percentile(self.latencies_ms, 99)


class Connection(asyncio.Protocol):
    """One kept connection: one request, one answer."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport
        self._answer: asyncio.Future[tuple[int, bytes]] | None = None
        self._came = bytearray()
        self._needs = 0
        self._status = 0
        self._begins = 0
        self.is_open = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport, self.is_open = cast("asyncio.Transport", transport), True  # uvloop's is none by its class

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_open = False
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(exc or ConnectionResetError("closed before the answer"))

    def ask(self, request: bytes) -> "asyncio.Future[tuple[int, bytes]]":
        """Send it; the future is the status and body of the answer."""
        self._came.clear()
        self._needs = self._status = 0
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return self._answer

    def data_received(self, data: bytes) -> None:
        self._came += data
        if not self._status and not self._read_head():
            return
        is_whole = self._came.endswith(b"0\r\n\r\n") if self._needs < 0 else len(self._came) >= self._needs
        if is_whole and self._answer is not None and not self._answer.done():
            self._answer.set_result((self._status, bytes(self._came[self._begins :])))

    def close(self) -> None:
        """Hang up."""
        self._transport.close()

    def _read_head(self) -> bool:
        end = self._came.find(b"\r\n\r\n")
        if end < 0:
            return False
        head = bytes(self._came[:end]).lower()
        self._status, self._begins = int(head[9:12]), end + 4
        _, found, length = head.partition(b"content-length:")
        self._needs = self._begins + int(length.split(b"\r", 1)[0]) if found else -1
        return True


class Load:
    """All callers of one job."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._numbers = itertools.cycle(range(LOWEST, HIGHEST + 1))
        self._latencies: list[float] = []
        self._sent = self._numbers_sent = self._numbers_sum = 0
        self._faults: Counter[str] = Counter()
        self._counts_from = self._ends = 0.0

    async def run(self) -> Answers:
        """Until the time is over and the last answer has come."""
        self._counts_from = time.perf_counter() + self._job.warm_up_s
        self._ends = self._counts_from + self._job.seconds
        prepared = [[Prepared(self._job.port, target) for target in targets] for targets in self._job.callers]
        tasks = [asyncio.create_task(self._call(itertools.cycle(targets))) for targets in prepared]
        _, waiting = await asyncio.wait(tasks, timeout=self._job.warm_up_s + self._job.seconds + PATIENCE_S)
        for task in waiting:
            task.cancel()
        if waiting:
            self._faults[f"no answer within {PATIENCE_S:g} s"] += len(waiting)
        for task in tasks:
            if task not in waiting:
                task.result()
        return Answers(
            count=len(self._latencies),
            seconds=self._job.seconds,
            latencies_ms=sorted(self._latencies),
            sent=self._sent,
            numbers=self._numbers_sent,
            numbers_sum=self._numbers_sum,
            faults=dict(self._faults),
        )

    async def _call(self, targets: "Iterator[Prepared]") -> None:
        connection = await self._connect()
        while time.perf_counter() < self._ends:
            if not connection.is_open:
                connection = await self._connect()
            await self._ask(connection, next(targets))
            if self._job.pause_s:
                await asyncio.sleep(min(self._job.pause_s, max(0.0, self._ends - time.perf_counter())))
        connection.close()

    async def _connect(self) -> Connection:
        _, connection = await asyncio.get_running_loop().create_connection(Connection, "127.0.0.1", self._job.port)
        return connection

    async def _ask(self, connection: Connection, target: "Prepared") -> None:
        numbers = list(itertools.islice(self._numbers, target.places))
        request = target.filled(numbers)
        self._sent += 1
        begun = time.perf_counter()
        try:
            status, body = await connection.ask(request)
        except OSError as error:
            self._faults[f"no answer: {error}"] += 1
            return
        ended = time.perf_counter()
        if fault := self._fault_of(status, body):
            self._faults[fault] += 1
            return
        self._numbers_sent += len(numbers)
        self._numbers_sum += sum(numbers)
        # What ended within the window: it began before where the warm-up ended meanwhile, as in any steady state.
        if self._counts_from <= ended < self._ends:
            self._latencies.append((ended - begun) * 1000)

    def _fault_of(self, status: int, body: bytes) -> str:
        job = self._job
        if job.status and status != job.status:
            return f"{status} {body[:300].decode(errors='replace')}"
        if job.holds and body.count(job.holds.encode()) != job.times:
            return f"not {job.times} times {job.holds}: {body[:300].decode(errors='replace')}"
        return ""


class Prepared:
    """A request whose text is made once."""

    def __init__(self, port: int, target: Target) -> None:
        pieces = target.body.split(NUMBER)
        self.places = len(pieces) - 1
        length = len(target.body) + self.places * (len(str(LOWEST)) - len(NUMBER))
        headers = {
            "Host": f"127.0.0.1:{port}",
            "Content-Type": "application/json",
            "Content-Length": str(length),
            **target.headers,
        }
        lines = [f"{target.method} {target.path} HTTP/1.1", *(f"{name}: {text}" for name, text in headers.items())]
        self._head = "\r\n".join([*lines, "", pieces[0]])
        self._pieces = pieces[1:]

    def filled(self, numbers: Sequence[int]) -> bytes:
        """With these numbers in its places."""
        return (self._head + "".join(f"{n}{text}" for n, text in zip(numbers, self._pieces, strict=True))).encode()


def job_from(told: dict[str, Any]) -> Job:
    """The job as it came over the pipe."""
    callers = [[Target(**target) for target in targets] for targets in told.pop("callers")]
    return Job(callers=callers, **told)


def main() -> None:
    """One job."""
    job = job_from(json.load(sys.stdin))
    gc.disable()  # a pause of ours would be counted as the server's
    print(json.dumps(asdict(asyncio.run(Load(job).run()))))


if __name__ == "__main__":
    main()
