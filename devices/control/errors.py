"""Why a request was refused: nothing was sent to the machine, and no record was made or changed."""

from collections.abc import Callable, Sequence
from typing import Self

from devices.control.records import KeyedRun, RunRecord
from devices.plc.interlocks import Clause


class Refused(Exception):
    """Base: the gateway did not accept the request."""


class UnknownPLC(Refused):
    """No PLC of that name or number is registered."""


def no_plc(ref: str) -> UnknownPLC:
    """For a name or number that no PLC has, as far as the caller may know."""
    return UnknownPLC(f"no PLC {ref!r} is registered")


class UnknownTag(Refused):
    """The PLC's profile has no tag of that name, or its history is asked for and is not kept."""


class TagNotWritable(Refused):
    """The tag can only be read, or its PLC knows no request that writes it whole."""


class TagNotReadable(Refused):
    """The PLC answered, and it was the PLC's own exception: it does not tell what the tag holds."""


class UnknownCommand(Refused):
    """The PLC's profile has no command of that name."""


class UnknownRun(Refused):
    """No run of that number is recorded."""


class PLCDisabled(Refused):
    """An engineer has disabled the PLC in the registry."""


class WrongValues(Refused):
    """Base: one or more values cannot be taken; each is named with what is wrong about it."""

    def __init__(self, errors: tuple[tuple[str, str], ...]) -> None:
        self.errors = errors
        super().__init__("; ".join(f"{name}: {fault}" for name, fault in errors))

    def renamed(self, named: Callable[[str], str]) -> Self:
        """The same of values as the caller calls them."""
        return type(self)(tuple((named(name), fault) for name, fault in self.errors))


class InvalidParameters(WrongValues):
    """One or more parameters are wrong."""


class NotPermitted(Refused):
    """The caller sees the PLC, and was not granted what he asks for."""


class AboveCeiling(WrongValues):
    """The caller may run the command, though not with values as high as these."""


class PLCLockedOut(Refused):
    """An engineer has locked the PLC out for maintenance: somebody may be at the machine."""


class TooManyRequests(Refused):
    """The caller asks more often than he may: this request was not looked at, and may be sent again later."""

    def __init__(self, message: str, *, retry_after_s: float) -> None:
        self.retry_after_s = retry_after_s
        super().__init__(message)


class HTTPSRequired(Refused):
    """The caller used plain HTTP, where anybody on the way can read his key and change what he asks for."""


class InvalidKey(Refused):
    """The Idempotency-Key is not one: empty, too long, or not of visible ASCII."""


class KeyRequired(Refused):
    """The caller must name each of its commands by an Idempotency-Key, and did not."""


class KeyReused(Refused):
    """The caller used this Idempotency-Key for something else before: nothing new was started."""


class RunNotQueued(Refused):
    """The run has had its turn, or has ended: it can't be withdrawn any more."""


class QueueFull(Refused):
    """As many commands wait for this PLC as may."""

    def __init__(self, message: str, *, retry_after_s: float) -> None:
        self.retry_after_s = retry_after_s
        super().__init__(message)


class NotRead(Refused):
    """The PLC did not answer, so nobody knows what its interlocks or proofs say; nothing was written."""

    def __init__(self, message: str, *, retry_after_s: float) -> None:
        self.retry_after_s = retry_after_s
        super().__init__(message)


class RunSettled(Refused):
    """The run has not ended yet, or it is known how it ended: there is nothing to reconcile."""

    def __init__(self, message: str, *, run: RunRecord) -> None:
        self.run = run
        super().__init__(message)


class NotProvable(Refused):
    """No read could prove what the machine did in this run: a person has to look at it."""

    def __init__(self, message: str, *, run: RunRecord) -> None:
        self.run = run
        super().__init__(message)


class NotProven(Refused):
    """The proofs of the run do not all hold now, which proves nothing: it stays as it was."""

    def __init__(self, *, run: RunRecord, clauses: Sequence[Clause]) -> None:
        self.run = run
        self.clauses = clauses
        missing = "; ".join(clause.detail for clause in clauses if not clause.is_met)
        super().__init__(f"run {run.id} stays {run.state}, the machine does not show that it did it: {missing}")


class PersonNeeded(Refused):
    """A machine's key says what only a person can have seen."""


class RightMissing(Refused):
    """Somebody is logged in, and was not given the right to say what a machine did."""


class Draining(Refused):
    """The gateway is shutting down."""


class NotRunning(Refused):
    """This process serves pages but no commands: it was not started by `manage.py serve`."""


class RecordUnavailable(Refused):
    """The database does not take the record, so the machine is not told."""


class KeyTaken(Exception):
    """The caller's key stands on a run already, which another request started: no row was made."""

    def __init__(self, taken: KeyedRun) -> None:
        self.taken = taken
        super().__init__(f"run {taken.run.id} has this key")


class Expired(Exception):
    """The run's time in the queue was over before its turn came: the machine was not told."""


class Withdrawn(Exception):
    """Somebody cancelled the run while it waited for its turn: the machine was not told."""


class IllegalMove(Exception):
    """A run's stored state is not the one that the change starts from: no row was changed."""


class PLCTaken(IllegalMove):
    """Another run of the PLC is recorded as running: no row was changed; once that one has ended, try again.

    A process that died gives its turn free before somebody has settled what it left.
    """
