"""A press whose trigger is the number of the job: what arrived at the machine can be held against the record.

Two jobs of three are `make`, a handshake behind an interlock. The third is `knock`, a trigger and nothing else: the
gateway looks at nothing before it, so that its beginning and its trigger are one commit.
It knows no Django: the process under test imports the places, too.
"""

from collections.abc import Callable
from itertools import chain

from devices.modbus.types import Table
from tests.doubles import faults
from tests.doubles.fault_server import FaultServer
from tests.doubles.pdu import WRITES
from tests.doubles.wire import Exchange, Fault

ORDER = (Table.HOLDING_REGISTER, 10)
START = (Table.HOLDING_REGISTER, 20)
DOOR = (Table.DISCRETE_INPUT, 1)
ACK = (Table.INPUT_REGISTER, 20)
MADE = (Table.INPUT_REGISTER, 30)
KNOCK = (Table.HOLDING_REGISTER, 40)
PROBE = (Table.HOLDING_REGISTER, 0)
"""Read on a fresh connection before a `knock`; before a `make` its interlock is."""
TRIGGERS = (START, KNOCK)

BEFORE_TRIGGER: dict[str, Fault] = {
    "the order is lost": faults.swallow,
    "reset on the order": faults.reset_before,
    "the order is refused": faults.exception(3),
    "busy on the order": faults.exception(6),
    "a wrong echo of the order": faults.echo(value=1),
}
ON_TRIGGER: dict[str, Fault] = {
    "reset, not applied": faults.reset_before,
    "reset, applied": faults.reset_after,
    "hung up amid the answer": faults.hang_up_amid,
    "silent, not applied": faults.swallow,
    "silent, applied": faults.mute,
    "half an answer": faults.half_an_answer,
    "an answer of another transaction": faults.transaction(7),
    "exception 2": faults.exception(2),
    "exception 4": faults.exception(4),
    "exception 4, applied": faults.exception(4, carried_out=True),
    "exception 5, applied": faults.exception(5, carried_out=True),
    "exception 6": faults.exception(6),
}
ON_RESULT: dict[str, Fault] = {
    "the result is refused": faults.exception(2),
    "the result is lost": faults.swallow,
}
NO_ACKNOWLEDGE = "no acknowledge"
MISDEEDS = (*BEFORE_TRIGGER, *ON_TRIGGER, *ON_RESULT, NO_ACKNOWLEDGE)
ENDS = {
    **dict.fromkeys(BEFORE_TRIGGER, "failed"),
    **dict.fromkeys((*ON_TRIGGER, *ON_RESULT), "unknown"),
    "exception 2": "faulted",
    "exception 5, applied": "succeeded",
    "exception 6": "failed",
    "the result is refused": "faulted",
    NO_ACKNOWLEDGE: "timed_out",
}
"""How a `make` that meets this ends, where nothing else comes between."""
ENDS_OF_KNOCKS = {**dict.fromkeys(ON_TRIGGER, "unknown"), "exception 2": "faulted", "exception 6": "failed"}
"""How a `knock` does, which awaits no acknowledge; it does not meet the others."""


def is_plain(number: int) -> bool:
    """The job is a `knock`."""
    return number % 3 == 0


def command_of(number: int) -> str:
    """What is asked of the press for this job."""
    return "knock" if is_plain(number) else "make"


def end_of(number: int, misdeed: str | None, *, is_open: bool) -> str:
    """How the job ends, where nothing else comes between."""
    if is_plain(number):
        return ENDS_OF_KNOCKS.get(misdeed or "", "succeeded")
    return "rejected" if is_open else ENDS.get(misdeed or "", "succeeded")


Kill = Callable[[], None]


class NumberedPress:
    """Starts a job at each number in START and echoes it in ACK, or at one in KNOCK; does wrong what was planned."""

    def __init__(self, double: FaultServer) -> None:
        self.double = double
        self.started: list[int] = []
        """Numbers of `make` whose trigger was carried out, in order; one that was refused or lost is not among them."""
        self.knocked: list[int] = []
        """The same of `knock`."""
        self.reached: set[int] = set()
        """Numbers whose trigger arrived, carried out or not."""
        self.plan: dict[int, str] = {}
        """What to do wrong with which job."""
        self._kill: Kill | None = None
        double.on_write(START, self._react)
        double.on_write(KNOCK, self.knocked.append)
        for place, table in ((ORDER, BEFORE_TRIGGER), (START, ON_TRIGGER), (KNOCK, ON_TRIGGER)):
            double.misbehave(self._following_plan(table), functions=WRITES, at=place, times=None)
        double.misbehave(self._following_plan(ON_RESULT), functions=(4,), at=MADE, times=None)

    def open_door(self, is_open: bool) -> None:
        """The interlock."""
        self.double.discrete_inputs[DOOR[1]] = int(is_open)

    def forget(self) -> None:
        """All jobs so far, and what it had in mind for them."""
        for kept in (self.started, self.knocked, self.reached, self.plan):
            kept.clear()

    def vanish_once(self) -> None:
        """The next connection on which a `knock` would come is lost before it does."""
        self.double.misbehave(faults.reset_before, functions=(3,), at=PROBE)

    def kill_on_trigger(self, kill: Kill) -> None:
        """End the gateway when the next trigger has arrived and been carried out, before it is answered."""
        self._kill = kill

    def _react(self, number: int) -> None:
        if number:
            self.started.append(number)
            self.double.input_registers[MADE[1]] = number
        if self.plan.get(number) != NO_ACKNOWLEDGE:
            self.double.input_registers[ACK[1]] = number

    def _following_plan(self, table: dict[str, Fault]) -> Fault:
        async def follow(exchange: Exchange) -> None:
            number = next(chain(exchange.request.values, self.started[-1:]), 0)
            if table is ON_TRIGGER and number:
                self.reached.add(number)
                if self._kill is not None:
                    kill, self._kill = self._kill, None
                    exchange.carry_out()
                    return kill()
            fault = table.get(self.plan.get(number, ""))
            return await (fault(exchange) if fault else exchange.answer())

        return follow
