"""Which PLCs and runs exist for somebody. Any other is told as one that was never made."""

from channels.db import database_sync_to_async
from django.db.models import QuerySet

from devices.control import stored
from devices.control.callers import Caller
from devices.control.errors import no_plc
from devices.control.records import RunRecord
from devices.control.rights import Rights
from devices.models import PLC, Run


def seen_plcs(rights: Rights) -> frozenset[int] | None:
    """The numbers of the PLCs that somebody sees, by the database; None: all, also those that are added later."""
    return None if rights.sees_all else frozenset(plc.pk for plc in _places() if rights.sees(plc))


async def find_run(run_id: int, caller: Caller) -> RunRecord:
    """A run as it is stored now; UnknownRun where there is none, or none that he sees."""
    run: RunRecord = await database_sync_to_async(_seen)(run_id, caller)
    return run


async def find_run_to_act_on(run_id: int, caller: Caller, *, is_own_enough: bool = False) -> RunRecord:
    """The same for who acts on it: NotPermitted where he may not ask for such a run himself.

    `is_own_enough`: what he once asked for he may act on, though he may not ask for it any more.
    """
    run: RunRecord = await database_sync_to_async(_seen_to_act_on)(run_id, caller, is_own_enough)
    return run


async def require_sight_of(run: RunRecord, asked_for: str, caller: Caller) -> None:
    """UnknownPLC where the caller sees no longer what he once asked for by this name or number."""
    if not await database_sync_to_async(_sees)(caller.rights, run):
        raise no_plc(asked_for)


async def runs_of(rights: Rights) -> QuerySet[Run]:
    """The runs of the PLCs that somebody sees; nothing is asked for those who see all."""
    seen = None if rights.sees_all else await database_sync_to_async(seen_plcs)(rights)
    return Run.objects.all() if seen is None else Run.objects.filter(plc__in=seen)


def _seen(run_id: int, caller: Caller) -> RunRecord:
    run = stored.by_id(run_id)
    if not _sees(caller.rights, run):
        raise stored.no_run(run_id)
    return run


def _seen_to_act_on(run_id: int, caller: Caller, is_own_enough: bool) -> RunRecord:
    run = _seen(run_id, caller)
    if not (is_own_enough and run.caller == caller.name):
        caller.rights.require_run(_place_of(run), run.command)
    return run


def _sees(rights: Rights, run: RunRecord) -> bool:
    return rights.sees_all or rights.sees(_place_of(run))


def _place_of(run: RunRecord) -> PLC:
    """By its row: a PLC whose settings cannot be used is not in the registry, and its runs are there."""
    return _places().get(pk=run.plc_id)


def _places() -> QuerySet[PLC]:
    return PLC.objects.only("id", "name", "area")
