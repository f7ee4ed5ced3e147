"""What plc.c does, for a computer without a C compiler: `... plc_asyncio COUNT MUTE`. Slower, and the same for all."""

import asyncio
import json
import resource
import struct
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

WORDS, COILS, CLOCKS, CHANGE_MS = 256, 64, 10, 1000
READS, BIT_WRITES, WORD_WRITES = range(1, 5), (5, 15), (6, 16, 22)


@dataclass
class Seen:
    """What all of them saw since the last reset."""

    connections: int = 0
    connects: int = 0
    requests: int = 0
    word_writes: int = 0
    words: int = 0
    words_sum: int = 0
    coil_writes: int = 0


@dataclass
class Machine:
    """One PLC's memory."""

    phase_ms: int
    holding: list[int] = field(default_factory=lambda: [0] * WORDS)
    coils: list[int] = field(default_factory=lambda: [0] * COILS)

    def input(self, address: int) -> int:
        """The first ones are clocks: the moment at which they changed last, as a uint32."""
        if address >= CLOCKS:
            return 0x1100 + address
        ms = int(time.monotonic() * 1000)
        changed = (ms - (ms - self.phase_ms) % CHANGE_MS) % 2**32
        return changed & 0xFFFF if address % 2 else changed >> 16


class Refused(Exception):
    """Answered with this exception code."""


class Park:
    """All machines, and what they saw."""

    def __init__(self) -> None:
        self.seen = Seen()
        self.delay_s = 0.0

    def act(self, machine: Machine, pdu: bytes) -> bytes:
        """Carry out one request; its answer."""
        try:
            function, address, number = struct.unpack(">BHH", pdu[:5])
            return self._act(machine, pdu, function, address, number)
        except Refused as refusal:
            return bytes((pdu[0] | 0x80, refusal.args[0]))
        except (IndexError, struct.error):
            return bytes((pdu[0] | 0x80, 2))

    def _act(self, machine: Machine, pdu: bytes, function: int, address: int, number: int) -> bytes:
        if function in READS:
            return self._read(machine, function, address, number)
        if function in BIT_WRITES:
            self._write_bits(machine, address, [number == 0xFF00] if function == 5 else _bits(pdu[6:], number))
            return pdu[:5]
        if function not in WORD_WRITES:
            raise Refused(1)
        if function == 22:
            (extra,) = struct.unpack(">H", pdu[5:7])
            self._write(machine, address, [machine.holding[address] & number | extra & ~number & 0xFFFF])
            return pdu[:7]
        self._write(machine, address, [number] if function == 6 else struct.unpack(f">{number}H", pdu[6:]))
        return pdu[:5]

    def _read(self, machine: Machine, function: int, address: int, number: int) -> bytes:
        places = range(address, address + number)
        if function < 3:
            bits = [machine.coils[place] if place < COILS else 0 for place in places]
            packed = sum(bit << place for place, bit in enumerate(bits)).to_bytes((number + 7) // 8, "little")
            return bytes((function, len(packed))) + packed
        words = [machine.holding[place] if function == 3 else machine.input(place) for place in places]
        return struct.pack(f">BB{number}H", function, 2 * number, *words)

    def _write_bits(self, machine: Machine, address: int, bits: Sequence[int]) -> None:
        for place, bit in enumerate(bits):
            machine.coils[address + place] = int(bit)
        self.seen.coil_writes += 1

    def _write(self, machine: Machine, address: int, words: Sequence[int]) -> None:
        for place, word in enumerate(words):
            machine.holding[address + place] = word
        self.seen.word_writes += 1
        self.seen.words += len(words)
        self.seen.words_sum += sum(words)


class Connection(asyncio.Protocol):
    """One caller."""

    def __init__(self, park: Park, machine: Machine | None) -> None:
        self._park, self._machine, self._came = park, machine, b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._park.seen.connections += 1
        self._park.seen.connects += 1

    def connection_lost(self, exc: Exception | None) -> None:
        self._park.seen.connections -= 1

    def data_received(self, data: bytes) -> None:
        if self._machine is None:
            return
        self._came += data
        while len(self._came) >= 8 and len(self._came) >= (size := 6 + int.from_bytes(self._came[4:6])):
            frame, self._came = self._came[:size], self._came[size:]
            answer = self._park.act(self._machine, frame[7:])
            self._park.seen.requests += 1
            whole = frame[:4] + (len(answer) + 1).to_bytes(2) + frame[6:7] + answer
            if self._park.delay_s:
                asyncio.get_running_loop().call_later(self._park.delay_s, self._transport.write, whole)
            else:
                self._transport.write(whole)


def _bits(packed: bytes, number: int) -> list[int]:
    return [packed[place // 8] >> place % 8 & 1 for place in range(number)]


async def run(count: int, mute: int) -> None:
    """Listen, and obey until stdin ends."""
    loop, park, ports = asyncio.get_running_loop(), Park(), []
    for position in range(count):
        machine = None if position >= count - mute else Machine(position * CHANGE_MS // count)
        server = await loop.create_server(lambda machine=machine: Connection(park, machine), "127.0.0.1", 0, backlog=64)
        ports.append(server.sockets[0].getsockname()[1])
    print(json.dumps({"ports": ports}), flush=True)
    lines = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    while line := (await lines.readline()).decode():
        if line.startswith("delay "):
            park.delay_s = int(line.split()[1]) / 1e6
        if line == "reset\n":
            park.seen = Seen(connections=park.seen.connections)
        print(json.dumps(asdict(park.seen)), flush=True)


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    asyncio.run(run(int(sys.argv[1]), int(sys.argv[2])))
