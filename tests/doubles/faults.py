"""Ways in which a PLC misbehaves with one request; `plc.next(faults.mute)` asks for one of them."""

import asyncio

from tests.doubles.wire import Exchange, Fault

# --- silence and time


async def swallow(exchange: Exchange) -> None:
    """Not carried out, never answered."""


async def mute(exchange: Exchange) -> None:
    """Carried out, never answered."""
    exchange.carry_out()


def late(delay_s: float) -> Fault:
    """Carried out at once, answered later."""

    async def fault(exchange: Exchange) -> None:
        answer = exchange.frame(exchange.carry_out())
        await asyncio.sleep(delay_s)
        await exchange.send(answer)

    return fault


def slow(delay_s: float) -> Fault:
    """Carried out late and then answered."""

    async def fault(exchange: Exchange) -> None:
        await asyncio.sleep(delay_s)
        await exchange.answer()

    return fault


def trickle(pause_s: float) -> Fault:
    """Answered a byte at a time."""

    async def fault(exchange: Exchange) -> None:
        for octet in exchange.frame(exchange.carry_out()):
            await exchange.send(bytes([octet]))
            await asyncio.sleep(pause_s)

    return fault


# --- hanging up


async def hang_up_before(exchange: Exchange) -> None:
    """Closed, not carried out."""
    exchange.connection.hang_up()


async def hang_up_after(exchange: Exchange) -> None:
    """Carried out, then closed without an answer."""
    exchange.carry_out()
    exchange.connection.hang_up()


async def hang_up_amid(exchange: Exchange) -> None:
    """Carried out, then closed amid the answer."""
    await half_an_answer(exchange)
    exchange.connection.hang_up()


async def answer_and_hang_up(exchange: Exchange) -> None:
    """Carried out, answered, and closed at once."""
    await exchange.answer()
    exchange.connection.hang_up()


async def reset_before(exchange: Exchange) -> None:
    """Reset, not carried out."""
    exchange.connection.reset()


async def reset_after(exchange: Exchange) -> None:
    """Carried out, then reset without an answer."""
    exchange.carry_out()
    exchange.connection.reset()


# --- answers that are wrong


async def half_an_answer(exchange: Exchange) -> None:
    """Carried out; the answer stops in the middle of its body."""
    raw = exchange.frame(exchange.carry_out())
    await exchange.send(raw[: len(raw) - 2])


def transaction(number: int) -> Fault:
    """Answered under another transaction id."""

    async def fault(exchange: Exchange) -> None:
        await exchange.send(exchange.frame(exchange.carry_out(), transaction=number))

    return fault


def unit(number: int) -> Fault:
    """Answered in the name of another unit."""

    async def fault(exchange: Exchange) -> None:
        await exchange.send(exchange.frame(exchange.carry_out(), unit=number))

    return fault


def protocol(number: int) -> Fault:
    """Answered under a protocol id that is not Modbus."""

    async def fault(exchange: Exchange) -> None:
        await exchange.send(exchange.frame(exchange.carry_out(), protocol=number))

    return fault


def function(code: int) -> Fault:
    """Answered with another function code, body as for the right one."""

    async def fault(exchange: Exchange) -> None:
        await exchange.send(exchange.frame(bytes([code]) + exchange.carry_out()[1:]))

    return fault


async def neighbouring_function(exchange: Exchange) -> None:
    """Answered with the code of a function whose answer looks the same."""
    neighbour = {1: 2, 2: 1, 3: 4, 4: 3, 5: 6, 6: 5, 15: 16, 16: 15}[exchange.request.function]
    await exchange.send(exchange.frame(bytes([neighbour]) + exchange.carry_out()[1:]))


def values(surplus: int) -> Fault:
    """A read is answered with more or fewer bytes of values than asked, and says so truly."""

    async def fault(exchange: Exchange) -> None:
        pdu = exchange.carry_out()
        body = (pdu[2:] + bytes(max(surplus, 0)))[: len(pdu) - 2 + surplus]
        await exchange.send(exchange.frame(bytes([pdu[0], len(body)]) + body))

    return fault


def byte_count(surplus: int) -> Fault:
    """A read is answered with a byte count that does not fit its body."""

    async def fault(exchange: Exchange) -> None:
        pdu = exchange.carry_out()
        await exchange.send(exchange.frame(bytes([pdu[0], pdu[1] + surplus]) + pdu[2:]))

    return fault


def echo(*, address: int = 0, value: int = 0) -> Fault:
    """A write is confirmed with another address, or another value or count: differences to the right ones."""

    async def fault(exchange: Exchange) -> None:
        pdu = exchange.carry_out()
        where = int.from_bytes(pdu[1:3]) + address
        what = int.from_bytes(pdu[3:5]) + value & 0xFFFF
        await exchange.send(exchange.frame(pdu[:1] + where.to_bytes(2) + what.to_bytes(2)))

    return fault


def length(surplus: int) -> Fault:
    """The header's length does not fit the body."""

    async def fault(exchange: Exchange) -> None:
        await exchange.send(exchange.frame(exchange.carry_out(), extra_length=surplus))

    return fault


def trailing(octets: bytes) -> Fault:
    """The body is longer than its function has it; the header's length covers all of it."""

    async def fault(exchange: Exchange) -> None:
        await exchange.send(exchange.frame(exchange.carry_out() + octets))

    return fault


def garbage(octets: bytes) -> Fault:
    """Carried out; these bytes come in place of an answer."""

    async def fault(exchange: Exchange) -> None:
        exchange.carry_out()
        await exchange.send(octets)

    return fault


def flood(size: int = 800_000, octet: int = 0xAA) -> Fault:
    """Carried out; so many bytes come in place of an answer."""

    async def fault(exchange: Exchange) -> None:
        exchange.carry_out()
        piece = bytes([octet]) * 10_000  # one object, however often it is sent and recorded
        for _ in range(size // len(piece)):
            await exchange.send(piece)

    return fault


def body(pdu: bytes) -> Fault:
    """Carried out; answered with this PDU under the right header."""

    async def fault(exchange: Exchange) -> None:
        exchange.carry_out()
        await exchange.send(exchange.frame(pdu))

    return fault


# --- answers that are right, and more


async def twice(exchange: Exchange) -> None:
    """The right answer comes two times in one segment."""
    await exchange.send(exchange.frame(exchange.carry_out()) * 2)


async def stale_first(exchange: Exchange) -> None:
    """An older request's answer comes glued before the right one."""
    answer = exchange.carry_out()
    stale = exchange.frame(answer[:-1] + bytes([answer[-1] ^ 1]), transaction=exchange.transaction - 1 & 0xFFFF)
    await exchange.send(stale + exchange.frame(answer))


def exception(code: int, *, carried_out: bool = False) -> Fault:
    """Answered with a Modbus exception; `carried_out` makes it a lie."""

    async def fault(exchange: Exchange) -> None:
        if carried_out:
            exchange.carry_out()
        await exchange.send(exchange.frame(bytes([exchange.request.function | 0x80, code])))

    return fault
