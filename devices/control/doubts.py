"""Runs of which nobody knows what the machine did, as the database has them, and why one of them cannot be proven."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import F, Q, QuerySet

from devices.control.definitions import command_of
from devices.control.errors import NotProvable, RunSettled, UnknownRun
from devices.control.outcomes import MOVES
from devices.control.records import RunRecord
from devices.control.restored import was_restored_since
from devices.modbus.types import Value
from devices.models import Definition, Run, State
from devices.plc import proofs
from devices.plc.sequence import SEQUENCE, sequence_limit, wrapped
from devices.plc.specs import CommandSpec, Phase

LOOK_BACK = 10_000  # runs that a start looks through; older ones are reconciled on request
NOT_TOLD = (State.FAILED, State.REJECTED)
"""Their trigger was recorded and not sent, or refused."""
NEIGHBOURS = 1000  # as many as may wait for one PLC: so far may numbers and turns differ in their order


@dataclass(frozen=True, kw_only=True, slots=True)
class Doubt:
    """A run, and the command as it stood when the run was made."""

    record: RunRecord
    plc_id: int
    command: CommandSpec | None
    """None: it is not recorded, or cannot be read any more."""
    values: Mapping[str, Value]
    """The run's parameters, and its number at its PLC where it has one."""
    has_moved: bool
    """Its PLC is registered at another address now: what answers there may be another machine."""

    @property
    def is_settled(self) -> bool:
        """It has not ended yet, or it is known how: no read and no verdict moves it."""
        return not self.record.state.is_final or self.record.state not in MOVES


def find(run_id: int) -> Doubt:
    """The run of a number; UnknownRun if there is none."""
    row = Run.objects.select_related("definition", "plc").defer("frames").filter(pk=run_id).first()
    if row is None:
        raise UnknownRun(f"no run {run_id} is recorded")
    return _doubt(row)


def left_unknown(among: Sequence[int] | None = None) -> dict[int, list[int]]:
    """By PLC, newest first: the unknown runs that may be proven by a read; of these, where some are given."""
    newest = Run.objects.order_by("-id").values_list("id", flat=True).first() or 0
    rows = Run.objects.filter(id__gt=newest - LOOK_BACK, state=State.UNKNOWN, definition__isnull=False)
    if among is not None:
        rows = rows.filter(pk__in=among)
    found: dict[int, list[int]] = {}
    for doubt in map(_doubt, rows.select_related("definition", "plc").defer("frames").order_by("-id")):
        if doubt.command and doubt.command.of(Phase.PROOF):
            found.setdefault(doubt.plc_id, []).append(doubt.record.id)
    return found


def require_in_doubt(doubt: Doubt) -> None:
    """RunSettled if there is nothing to find out."""
    if doubt.is_settled:
        run = doubt.record
        raise RunSettled(f"run {run.id} is {run.state}: there is nothing to find out about it", run=run)


def require_provable(doubt: Doubt) -> CommandSpec:
    """The command whose proofs may be read; NotProvable says why no read could tell."""
    command = doubt.command
    reason = "the command as it stood then is not recorded" if command is None else _why_not(doubt, command)
    if command is None or reason:
        raise NotProvable(f"no read can prove run {doubt.record.id}: {reason}; look at the machine", run=doubt.record)
    return command


def _why_not(doubt: Doubt, command: CommandSpec) -> str:
    """Empty where nothing speaks against it."""
    steps = command.of(Phase.PROOF)
    missing = next((step.parameter for step in steps if step.parameter and step.parameter not in doubt.values), None)
    own = proofs.written_by_itself(command)
    if not steps:
        return "the command names no proof"
    if missing:
        return f"a proof needs {{{missing}}}, which this run does not have"
    if own:
        return f"the proof looks at {own}, which the command itself writes"
    if proofs.may_have_held(doubt.record.trace):
        return "it held already before the start, or was not looked at then"
    if was_restored_since(doubt.plc_id, _told_at(doubt)):
        return "the database was restored from a backup since, and what told the machine in between is not recorded"
    return _what_else(doubt, command)


def _what_else(doubt: Doubt, command: CommandSpec) -> str:
    """What may show the same, though this run did not do it; empty where nothing can."""
    if doubt.has_moved:
        return "its PLC had another host, port or unit id then, and another machine may answer now"
    if proofs.hold_at_zero(command, doubt.values):
        return "a PLC that has restarted shows the same, all its registers zero"
    later = _triggered_since(doubt)
    if proofs.shows_number(command):
        return _may_show(command, doubt.values[SEQUENCE], later)
    if later.exists():
        return "a later run told the machine too, and what stands there now may be its doing"
    if earlier := _still_at_work(doubt):
        return f"run {earlier.pk} told the machine before and nobody knew how it ended, so it may be that one's doing"
    return ""


def _triggered_since(doubt: Doubt) -> QuerySet[Run]:
    """The other runs of the PLC that told the machine, or were about to, after this one."""
    run = doubt.record
    near = Run.objects.filter(plc=doubt.plc_id, id__gte=_first_near(doubt.plc_id, run.id))
    since = near.filter(triggered_at__isnull=False).exclude(id=run.id).exclude(state__in=NOT_TOLD)
    return since.filter(Q(id__gt=run.id) | Q(triggered_at__gte=_told_at(doubt)))


def _first_near(plc_id: int, run_id: int) -> int:
    """Number of the first run of the PLC that may have had its turn after this one, though it was asked for before."""
    before = Run.objects.filter(plc=plc_id, id__lt=run_id).order_by("-id").values_list("id", flat=True)
    return min(before[:NEIGHBOURS], default=run_id)


def _still_at_work(doubt: Doubt) -> Run | None:
    """The newest earlier run of the PLC that may have been at work still when this one told the machine."""
    at = _told_at(doubt)
    earlier = Run.objects.filter(plc=doubt.plc_id, id__lt=doubt.record.id, triggered_at__lt=at)
    earlier = earlier.exclude(state__in=NOT_TOLD).order_by("-id")
    in_doubt = earlier.filter(Q(state__in=[State.UNKNOWN, State.TIMED_OUT]) | Q(finished_at__gt=at))
    ended = earlier.filter(state=State.SUCCEEDED, finished_at__lte=at).select_related("definition")
    last = next(filter(_is_confirmed, ended.defer("frames", "trace")[:NEIGHBOURS]), None)
    if last is not None:
        in_doubt = in_doubt.filter(id__gte=_first_near(doubt.plc_id, last.pk), triggered_at__gt=last.triggered_at)
    return in_doubt.defer("frames", "trace").first()


def _is_confirmed(run: Run) -> bool:
    """The machine was seen to do it; who only takes the write may still be at work with what came before."""
    command = _command(run.definition)
    return bool(run.history) or (command is not None and bool(command.of(Phase.WAIT)))


def _told_at(doubt: Doubt) -> datetime:
    return doubt.record.triggered_at or doubt.record.accepted_at


def _may_show(command: CommandSpec, number: Any, runs: QuerySet[Run]) -> str:
    """How one of these runs may have made the machine show this number of the command; empty if none can have."""
    if runs.filter(definition=None).exists():
        return "a later run told the machine too, and it is not recorded what"
    for definition in Definition.objects.filter(pk__in=runs.values("definition")):
        other = _command(definition)
        if other is None:
            return "a later run told the machine too, and it is not recorded what"
        if proofs.is_written_over(command, other):
            return f"a later {other.name} may have written the same number"
        if _has_number(runs.filter(definition=definition), sequence_limit(other), number):
            return "a later run was given the same number"
    return ""


def _has_number(runs: QuerySet[Run], limit: int | None, number: Any) -> bool:
    """Whether one of them gave the machine this number: they are wrapped where the tags of their command end."""
    if not limit or number > limit:
        return False
    return runs.annotate(rest=F("sequence") % limit).filter(rest=number % limit).exists()


def _doubt(row: Run) -> Doubt:
    command = _command(row.definition)
    limit = None if command is None else sequence_limit(command)
    number = {SEQUENCE: wrapped(row.sequence, limit)} if row.sequence is not None and limit else {}
    return Doubt(
        record=RunRecord.from_row(row),
        plc_id=row.plc_id,
        command=command,
        values=row.parameters | number,
        has_moved=_has_moved(row),
    )


def _has_moved(row: Run) -> bool:
    then = row.definition.content.get("plc") if row.definition else None
    now = {"host": row.plc.host, "port": row.plc.port, "unit": row.plc.unit_id}
    return then is not None and any(then.get(name) != value for name, value in now.items())


def _command(definition: Definition | None) -> CommandSpec | None:
    try:
        return command_of(definition.content) if definition else None
    except (LookupError, TypeError, ValueError):
        return None
