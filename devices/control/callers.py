"""Who asks for something."""

from dataclasses import dataclass

from devices.control.rights import NOTHING, Rights


@dataclass(frozen=True, kw_only=True, slots=True)
class Caller:
    """Who asks for something, and from where."""

    name: str
    """`key mes-line-1` or `user anna`."""
    source: str
    """The client's address."""
    rights: Rights = NOTHING
    """What he may do, on which PLCs."""
    needs_key: bool = False
    """Its commands are refused without an Idempotency-Key."""
    may_judge: bool = False
    """A person who may say what a machine did: looked up where he says it."""

    @property
    def is_person(self) -> bool:
        """Somebody who is logged in, not a machine with its key."""
        return self.name.startswith("user ")
