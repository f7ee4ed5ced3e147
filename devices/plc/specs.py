"""Frozen descriptions of PLCs and commands, as `control/translate.py` makes them from rows. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from functools import cached_property

from devices.modbus.types import Endpoint, Limits, Table, TagSpec, Value


class Priority(IntEnum):
    """Who goes first when several wait for one PLC; the smaller number wins."""

    COMMAND = 0
    HEARTBEAT = 3
    PROBE = 5
    POLL = 10


class Phase(StrEnum):
    """When a step runs; the order here is the order of a command."""

    CHECK = "check"
    WRITE = "write"
    TRIGGER = "trigger"
    WAIT = "wait"
    FAIL_IF = "fail_if"
    """Looked at together with the waits: where one holds, the PLC said no."""
    READ = "read"
    CLEANUP = "cleanup"
    PROOF = "proof"
    """Looked at afterwards, where nobody knows: where all hold, the machine did it."""


LOOKS = frozenset({Phase.CHECK, Phase.WAIT, Phase.FAIL_IF, Phase.PROOF})
"""Phases whose conditions are looked at before the trigger too: what holds already then is no answer to it."""


class Operator(StrEnum):
    """What a step does with its tag: set it, get it, or compare it."""

    SET = "set"
    GET = "get"
    EQUAL = "=="
    NOT_EQUAL = "!="
    LESS = "<"
    LESS_OR_EQUAL = "<="
    GREATER = ">"
    GREATER_OR_EQUAL = ">="
    IN = "in"
    BIT_SET = "bit set"
    BIT_CLEAR = "bit clear"

    @property
    def is_condition(self) -> bool:
        """Compares the tag's value with the step's."""
        return self not in (Operator.SET, Operator.GET)


class ParameterType(StrEnum):
    """JSON types of a command's inputs."""

    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    TEXT = "text"


@dataclass(frozen=True, kw_only=True, slots=True)
class ParameterSpec:
    """A typed, limited input of a command."""

    name: str
    data_type: ParameterType
    label: str = ""
    unit: str = ""
    minimum: float | None = None
    maximum: float | None = None
    default: Value | None = None
    """None: the caller must give it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StepSpec:
    """One line of a command."""

    phase: Phase
    tag: TagSpec
    operator: Operator
    position: int = 0
    """Order within the phase; waits of one position must hold at the same time."""
    value: Value | None = None
    """A constant; None where a parameter is named, for `get` and for `in`.

    Of `bit set` and `bit clear`: the number of the bit in the raw value, 0 is the least significant.
    """
    choices: tuple[Value, ...] = ()
    """Of `in`: any of these will do."""
    parameter: str | None = None
    timeout_s: float | None = None
    """How long a condition of `wait` or `cleanup` may take to come true."""
    message: str = ""
    """What to tell the caller when the step is not met; of a `fail_if`, when it is."""
    tolerance: float | None = None
    """Read back and accepted within this distance, in the tag's unit; None: not read back.

    Of a `write`, before the machine is told; of the `trigger`, together with the result.
    """
    is_applied: bool = False
    """Of a `fail_if`: where it holds, the machine acted nevertheless."""


@dataclass(frozen=True, kw_only=True)
class CommandSpec:
    """A named function of a machine: its inputs and its steps, in order."""

    name: str
    title: str = ""
    description: str = ""
    parameters: tuple[ParameterSpec, ...] = ()
    steps: tuple[StepSpec, ...] = ()
    time_limit_s: float = 30.0
    """From its turn to the trigger and from the trigger to the acknowledge, the whole of it."""
    poll_interval_s: float = 0.05
    """Pause between two looks at a condition that is waited for."""
    expires_after_s: float | None = None
    """From the call on: a run that still waits for its turn then is dropped, never started late."""
    connect_tries: int = 1
    """How often a PLC that cannot be reached is tried, within the time limit."""

    @cached_property
    def looks_first(self) -> bool:
        """Something is looked at between its turn and its trigger, and may keep the trigger back."""
        return bool(self.read_back(Phase.WRITE)) or any(step.phase in LOOKS for step in self.steps)

    def of(self, phase: Phase) -> tuple[StepSpec, ...]:
        """The steps of one phase, in their order."""
        return self._by_phase[phase]

    def read_back(self, phase: Phase) -> tuple[StepSpec, ...]:
        """Those steps of a phase whose values are read back."""
        return self._read_back[phase]

    @cached_property
    def _by_phase(self) -> Mapping[Phase, tuple[StepSpec, ...]]:
        return {phase: tuple(step for step in self.steps if step.phase is phase) for phase in Phase}

    @cached_property
    def _read_back(self) -> Mapping[Phase, tuple[StepSpec, ...]]:
        return {phase: tuple(step for step in self.of(phase) if step.tolerance is not None) for phase in Phase}


@dataclass(frozen=True, kw_only=True, slots=True)
class PollSpec:
    """A tag as it is watched: how often it is read, what counts as a change, what is kept of it."""

    tag: TagSpec
    description: str = ""
    is_writable: bool = False
    """PLCs of this profile know a request that writes it whole."""
    interval_s: float = 1.0
    """Between two readings; tags of one interval are read together. 0: never polled."""
    dead_band: float = 0.0
    """In the tag's unit: a change that is not larger is neither shown nor recorded."""
    is_recorded: bool = False
    record_every_s: float = 60.0
    """Recorded at least so often, also without a change."""

    @property
    def old_after_s(self) -> float:
        """From this age on its value is not to be taken for the present one: three rounds have passed without it."""
        return max(3 * self.interval_s, self.interval_s + 2.0)


@dataclass(frozen=True, kw_only=True, slots=True)
class HeartbeatSpec:
    """What is written for the PLC's watchdog, and what its program shows of its own life."""

    written: TagSpec | None = None
    """A bool is toggled, a whole number counts up by one."""
    interval_s: float = 0.5
    watched: TagSpec | None = None
    limit_s: float = 5.0
    """How long the watched tag may stand still."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PLCSpec:
    """One registered controller with all that is needed to talk to it."""

    id: int
    name: str
    endpoint: Endpoint
    title: str = ""
    area: str = ""
    profile: str = ""
    is_enabled: bool = True
    limits: Limits = field(default_factory=Limits)
    read_gap: int = 0
    """Widest gap between two values, in addresses, that polling reads across."""
    probe_table: Table = Table.HOLDING_REGISTER
    probe_address: int = 0
    """Read once on a fresh connection before anything is written: it proves that the PLC serves us."""
    max_connections: int = 1
    max_waiting: int = 32
    """Commands that may wait for their turn; one more is refused."""
    turn_timeout_s: float = 30.0
    keep_open_s: float = 0.0
    """How long a connection is kept for the next user after an answered exchange; 0 closes at once."""
    tags: Mapping[str, TagSpec] = field(default_factory=dict)
    commands: Mapping[str, CommandSpec] = field(default_factory=dict)
    polls: Mapping[str, PollSpec] = field(default_factory=dict)
    """Every tag by name, as it is watched."""
    heartbeat: HeartbeatSpec = HeartbeatSpec()
