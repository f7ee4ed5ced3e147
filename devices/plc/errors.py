"""What can go wrong in a conversation with one machine, in plant words."""

from devices.modbus.errors import LinkUnavailable, Unconfirmed


class TurnNotGot(LinkUnavailable):
    """Others kept the PLC busy for the whole wait: nothing was sent."""


class TurnsUnavailable(LinkUnavailable):
    """The turns are shared over Redis, and it does not answer: nothing was sent."""


class LeaseLost(Unconfirmed):
    """The turn could not be kept, and the connection was closed before another process may take it.

    What was under way may have happened.
    """


class TurnGone(LinkUnavailable):
    """The turn had been lost before this was to be sent, and another process may have it: nothing was sent."""


class PLCOffline(LinkUnavailable):
    """The PLC failed repeatedly and is being probed; calls fail at once: nothing was sent."""

    def __init__(self, message: str, *, retry_after_s: float) -> None:
        self.retry_after_s = retry_after_s
        super().__init__(message)


class PoolClosed(LinkUnavailable):
    """The gateway is shutting down: nothing was sent."""


class SessionClosed(RuntimeError):
    """A session was used after its block ended: a bug in the caller, nothing was sent."""


class PhaseError(Exception):
    """Base of what a command's phases report; the machine was talked to and answered."""


class InterlockOpen(PhaseError):
    """A condition that must hold does not: nothing was written."""


class ReadBackMismatch(PhaseError):
    """What was written does not stand in the PLC as wanted: of a parameter, before the machine was told to act."""


class PLCSaidNo(PhaseError):
    """The trigger was sent and the PLC reports an error of its own; `is_applied` where it acted all the same."""

    def __init__(self, message: str, *, is_applied: bool) -> None:
        self.is_applied = is_applied
        super().__init__(message)


class NoAcknowledge(PhaseError):
    """The trigger was sent and the PLC did not confirm within the limit."""


class DeadlinePassed(PhaseError):
    """The command's time was up before the trigger: the machine was not told."""


class HandshakeIncomplete(PhaseError):
    """The PLC confirmed, but the trigger could not be cleared or its acknowledge did not go."""
