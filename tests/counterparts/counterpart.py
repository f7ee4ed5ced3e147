"""A server of somebody else as a process of its own; started, looked into and ended by who uses it."""

import contextlib
import json
import queue
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from devices.modbus.types import Table
from tests.doubles.pdu import Request, parse

START_S = 30.0  # these limits bound a hang; none is waited out in a test that passes
ANSWER_S = END_S = 10.0


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What the other side holds and what has reached it since the last reset."""

    connections: int
    """Open now."""
    connects: int
    requests: list[Request]
    tables: dict[Table, list[int]]

    @property
    def coils(self) -> list[int]:
        return self.tables[Table.COIL]

    @property
    def discrete_inputs(self) -> list[int]:
        return self.tables[Table.DISCRETE_INPUT]

    @property
    def holding_registers(self) -> list[int]:
        return self.tables[Table.HOLDING_REGISTER]

    @property
    def input_registers(self) -> list[int]:
        return self.tables[Table.INPUT_REGISTER]

    @property
    def functions(self) -> list[int]:
        return [request.function for request in self.requests]

    @property
    def writes(self) -> list[tuple[int, int, tuple[int, ...]]]:
        """Function, address and values of each."""
        return [(request.function, request.address, request.values) for request in self.requests if request.is_write]


class Counterpart:
    """One running server. `leaks.nothing_left` takes it as it takes our own double."""

    host = "127.0.0.1"
    tasks: frozenset[Any] = frozenset()
    """It runs elsewhere: none on our loop."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._lines: queue.Queue[str] = queue.Queue()
        self._reader = threading.Thread(target=self._read_lines, daemon=True)

    @property
    def open_connections(self) -> int:
        return self.look().connections

    def start(self) -> None:
        """Wait until it listens."""
        self._reader.start()
        self.port: int = self._next_line(START_S)["port"]

    def behave(self) -> None:
        """It always does."""

    def look(self) -> Seen:
        return self._ask("look")

    def reset(self) -> Seen:
        """Fill its memory with the pattern again and forget all requests."""
        return self._ask("reset")

    def end(self) -> int:
        """Close its stdin, on which it ends by itself; the exit code."""
        with contextlib.suppress(BrokenPipeError):  # it has ended already
            self._process.stdin.close()
        try:
            return self._process.wait(END_S)
        finally:
            if self._process.poll() is None:
                self._process.kill()
                self._process.wait()
            self._reader.join(END_S)
            self._process.stdout.close()

    def _ask(self, line: str) -> Seen:
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()
        answer = self._next_line(ANSWER_S)
        return Seen(
            connections=answer["connections"],
            connects=answer["connects"],
            requests=[parse(bytes.fromhex(pdu), unit=1) for pdu in answer["requests"].split()],
            tables={table: answer[table] for table in Table},
        )

    def _read_lines(self) -> None:
        for line in self._process.stdout:
            self._lines.put(line)
        self._lines.put("")

    def _next_line(self, limit_s: float) -> dict[str, Any]:
        """In a thread, since a pipe alone has no time limit."""
        line = self._lines.get(timeout=limit_s)
        assert line, f"{self._process.args} ended with code {self._process.wait(END_S)}"
        return json.loads(line)


@contextmanager
def running(*command: str) -> Iterator[Counterpart]:
    """Start a server, wait until it is ready, and end it, whatever the tests did."""
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    counterpart = Counterpart(process)
    try:
        counterpart.start()
        yield counterpart
    finally:
        code = counterpart.end()
    assert code == 0
