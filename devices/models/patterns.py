"""The handshakes that most machines speak, ready to be written out as the steps of a command. Pure."""

from collections.abc import Iterator

from devices.models.pattern_parts import (
    BIT,
    BIT_OR_NUMBER,
    BIT_TO_WRITE,
    NUMBER,
    NUMBER_TO_WRITE,
    Chosen,
    Constant,
    Draft,
    Pattern,
    Role,
    comparison,
)
from devices.models.sequence_rules import SEQUENCE

TAKEN_BACK_S = 2.0  # for an acknowledge to go; the whole cleanup may take 10 s


def _check(role: str, value: str, message: str, *, operator: str = "==", constant: str = "") -> Draft:
    return Draft(phase="check", role=role, operator=operator, value=value, constant=constant, message=message)


def _set(phase: str, role: str, value: str, *, constant: str = "") -> Draft:
    return Draft(phase=phase, role=role, operator="set", value=value, constant=constant)


def _when(phase: str, role: str, chosen: Chosen, constant: str, message: str) -> Draft:
    """A comparison with what was typed for a constant."""
    text = chosen.texts[constant]
    return Draft(phase=phase, role=role, operator=comparison(text), value=text, constant=constant, message=message)


def _four_phases(chosen: Chosen) -> Iterator[Draft]:
    if chosen.has("fault"):
        yield _check("fault", "0", "the machine has a fault")
    yield _check("ack", "0", "the machine still acknowledges an earlier request")
    yield _set("trigger", "request", "1")
    no_answer = "the machine did not acknowledge"
    yield Draft(phase="wait", role="ack", operator="==", value="1", timeout_s=chosen.limit_s, message=no_answer)
    if chosen.has("fault"):
        yield Draft(phase="fail_if", role="fault", operator="==", value="1", message="the machine reports a fault")
    yield _set("cleanup", "request", "0")
    stays = "the machine did not take back its acknowledge"
    yield Draft(phase="cleanup", role="ack", operator="==", value="0", timeout_s=TAKEN_BACK_S, message=stays)


def _pulse(chosen: Chosen) -> Iterator[Draft]:
    # A bit which was left set has no rising edge to give.
    yield _check("pulse", "0", "the bit still stands from an earlier pulse, whose end the PLC did not see")
    if chosen.has("feedback"):
        seen, already = chosen.texts["seen"], "the machine shows the feedback already, before it was told"
        yield _check("feedback", seen, already, operator="!=", constant="seen")
    yield _set("trigger", "pulse", "1")
    if chosen.has("feedback"):
        no_answer = "the machine did not react to the pulse"
        yield _when("wait", "feedback", chosen, "seen", no_answer).within(chosen.limit_s)
    yield _set("cleanup", "pulse", "0")


def _status_word(chosen: Chosen) -> Iterator[Draft]:
    # The machine would not see an order that is written over the same one.
    yield _check("order", "0", "an earlier order still stands in the command word")
    yield _when("check", "status", chosen, "ready", "the machine is not ready")
    yield _set("trigger", "order", chosen.texts["told"], constant="told")
    no_answer = "the machine did not report that it is done"
    yield _when("wait", "status", chosen, "done", no_answer).within(chosen.limit_s)
    if chosen.has("error"):
        yield _when("fail_if", "status", chosen, "error", "the machine reports an error")
    yield _set("cleanup", "order", "0")


def _sequence_echo(chosen: Chosen) -> Iterator[Draft]:
    # After a restore of the gateway's records its numbers begin anew, and an old echo may be one of them.
    same = "the machine still shows this number from an earlier request: ask again, the next run has another"
    yield _check("echo", SEQUENCE, same, operator="!=")
    yield _set("trigger", "request", SEQUENCE)
    no_echo = "the machine did not echo the number of this request"
    yield Draft(phase="wait", role="echo", operator="==", value=SEQUENCE, timeout_s=chosen.limit_s, message=no_echo)
    if chosen.has("result"):
        refused = "the machine carried the request out with an error"
        yield Draft(phase="fail_if", role="result", operator="!=", value="0", message=refused)
    else:
        # Beside a result the echo stands after an error too, and once that is reset nothing tells the two apart.
        yield Draft(phase="proof", role="echo", operator="==", value=SEQUENCE)


def _packml(chosen: Chosen) -> Iterator[Draft]:
    yield _when("check", "state", chosen, "from_state", "the machine is in another state than the command needs")
    # A request that still stands would let the machine act on the number, before it is told.
    yield _check("change", "0", "an earlier command request still stands")
    yield _set("write", "number", chosen.texts["order"], constant="order")
    yield _set("trigger", "change", "1")
    no_answer = "the machine did not reach the wanted state"
    yield _when("wait", "state", chosen, "to_state", no_answer).within(chosen.limit_s)
    if chosen.has("failed"):
        yield _when("fail_if", "state", chosen, "failed", "the machine went to another state")
    yield _set("cleanup", "change", "0")


SEVERAL = "A number, or a label of the tag; several with |."
NUMBERS_DIFFER = "Numbers differ between sources, so look at your PLC's."
OLD_ANSWER = "It must not be a value that the machine has before: an old answer could not be told from a new one."

FOUR_PHASES = Pattern(
    name="handshake",
    title="Four-phase handshake",
    use="The PLC program takes a request bit and answers with an acknowledge bit: the safest way with plain bits, to "
    "be taken wherever you can have it programmed.",
    roles=(
        Role(name="request", label="Request", kind=BIT_TO_WRITE, help="The bit that makes the machine act."),
        Role(
            name="ack",
            label="Acknowledge",
            kind=BIT,
            help="The PLC sets it when it took the request, and takes it back when the request is gone.",
        ),
        Role(
            name="fault",
            label="Fault",
            kind=BIT,
            is_optional=True,
            help="Set while the machine cannot start; the request is then not sent. Where it comes after the request, "
            "the machine did not do it, and the run ends at once as “faulted”.",
        ),
    ),
    steps=_four_phases,
)
PULSE = Pattern(
    name="pulse",
    title="Pulse",
    use="The machine acts on the rising edge of one bit, like a push button's, and shows by another tag that it did, "
    "or not at all.",
    roles=(
        Role(name="pulse", label="Bit", kind=BIT_TO_WRITE, help="Set, and cleared again."),
        Role(
            name="feedback",
            label="Feedback",
            kind=BIT_OR_NUMBER,
            is_optional=True,
            help="The tag in which the machine shows that it acted. The bit stays set until this tag has the value "
            "below. Where the machine shows nothing, choose none: the bit is then set for a few milliseconds only, "
            "nobody can tell whether the machine saw it, and the PLC program has to latch the bit.",
        ),
    ),
    constants=(
        Constant(
            name="seen",
            label="Feedback value",
            role="feedback",
            default="1",
            help="What the feedback reads when the machine acted, and not before. Not used without a feedback.",
        ),
    ),
    steps=_pulse,
    answers_by="feedback",
)
STATUS_WORD = Pattern(
    name="status-word",
    title="Status word",
    use="The PLC takes an order as a number in one register and says in another whether it is ready, done or in error.",
    roles=(
        Role(name="order", label="Command word", kind=NUMBER_TO_WRITE, help="Set to the order, and to 0 afterwards."),
        Role(name="status", label="Status word", kind=NUMBER, help="What the machine says about itself."),
    ),
    constants=(
        Constant(
            name="told",
            label="Order",
            role="order",
            default="1",
            word="Start",
            is_written=True,
            help="What to write to the command word. A number, or a label of the tag.",
        ),
        Constant(
            name="ready",
            label="Status when ready",
            role="status",
            default="0",
            word="Ready",
            help=f"Nothing is written unless the machine says this. {SEVERAL}",
        ),
        Constant(
            name="done",
            label="Status when done",
            role="status",
            word="Done",
            help=f"{SEVERAL} Anything but ready, or the status of an earlier order would pass for an answer.",
        ),
        Constant(
            name="error",
            label="Status in error",
            role="status",
            word="Error",
            is_optional=True,
            help=f"Ends the run at once, in the words of the tag's labels. {SEVERAL}",
        ),
    ),
    apart=(
        ("ready", "done", OLD_ANSWER),
        ("ready", "error", "The machine cannot be ready and in error by the same number."),
        ("done", "error", "The machine cannot be done and in error by the same number."),
    ),
    steps=_status_word,
)
SEQUENCE_ECHO = Pattern(
    name="sequence-echo",
    title="Sequence echo",
    use="The PLC program copies the number of a request to an echo register once it has carried it out: no old answer "
    "passes for a new one, and an outcome that was lost can be looked up afterwards.",
    roles=(
        Role(
            name="request",
            label="Request number",
            kind=NUMBER_TO_WRITE,
            help="Gets the number of the run: one more each time, never 0. The machine acts when it changes.",
        ),
        Role(name="echo", label="Echo", kind=NUMBER, help="The PLC writes the request number here when it is done."),
        Role(
            name="result",
            label="Result code",
            kind=NUMBER,
            is_optional=True,
            help="0 is good. The PLC writes it before the echo, and sets it to 0 again when the error is reset: while "
            "it is not 0, no request is sent. With it, a lost outcome is for a person to settle: once the error is "
            "reset, the echo looks as after success.",
        ),
    ),
    steps=_sequence_echo,
)
PACKML = Pattern(
    name="packml",
    title="PackML command",
    use="The machine has PackML's state model (ISA-TR88.00.02): a command number, a bit that asks for the change, and "
    "the state that it is in.",
    roles=(
        Role(name="number", label="CntrlCmd", kind=NUMBER_TO_WRITE, help="The number of the command."),
        Role(name="change", label="CmdChangeRequest", kind=BIT_TO_WRITE, help="Makes the machine take the command."),
        Role(name="state", label="StateCurrent", kind=NUMBER, help="The state that the machine is in."),
    ),
    constants=(
        Constant(
            name="order",
            label="Command number",
            role="number",
            default="2",
            word="Start",
            is_written=True,
            help="Often 1 Reset, 2 Start, 3 Stop, 4 Hold, 5 Unhold, 6 Suspend, 7 Unsuspend, 8 Abort, 9 Clear. "
            + NUMBERS_DIFFER,
        ),
        Constant(
            name="from_state",
            label="State before",
            role="state",
            default="4",
            word="Idle",
            help="Nothing is written in any other state; for Start often 4 Idle. " + SEVERAL,
        ),
        Constant(
            name="to_state",
            label="State wanted",
            role="state",
            default="6",
            word="Execute",
            help="For Start often 6 Execute. Name also the states that may follow too fast to be seen: 6|16|17. "
            + SEVERAL,
        ),
        Constant(
            name="failed",
            label="States of failure",
            role="state",
            default="2|7|8|9",
            is_optional=True,
            help="End the run at once; often 2 Stopped, 7 Stopping, 8 Aborting, 9 Aborted. Leave out those that the "
            "command itself leads to.",
        ),
    ),
    apart=(
        ("from_state", "to_state", OLD_ANSWER),
        ("from_state", "failed", "The state before the command is no failure of it: the command could never run."),
        ("to_state", "failed", "The wanted state is no failure."),
    ),
    steps=_packml,
    limit_s=10.0,
)

PATTERNS = {pattern.name: pattern for pattern in (FOUR_PHASES, PULSE, STATUS_WORD, SEQUENCE_ECHO, PACKML)}
