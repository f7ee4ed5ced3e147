"""Which PLCs there are, and whether they can be worked with."""

from typing import Any

from django.http import HttpRequest
from ninja import Router

from devices.api.auth import caller_of
from devices.api.commands import PLCRef, plc_for
from devices.api.schemas import PLCListOut, PLCOut, answers
from devices.control.gateway import current
from devices.control.pictures import statuses_of
from devices.control.status import PLCStatus
from devices.plc.specs import PLCSpec

router = Router(tags=["PLCs"])


@router.get("", response=answers(PLCListOut), operation_id="list_plcs", summary="List PLCs")
async def list_plcs(request: HttpRequest) -> dict[str, Any]:
    """All PLCs that you may see, with their states; nothing is sent to them."""
    gateway = current()
    plcs = await gateway.registry.plcs_for(caller_of(request).rights)
    statuses = await statuses_of(plcs.values())
    await gateway.lock_outs.refresh()
    locked = gateway.lock_outs.as_json
    return {"plcs": [_plc(plc, statuses[plc.id], locked(plc.id)) for _, plc in sorted(plcs.items())]}


@router.get("/{plc}", response=answers(PLCOut), operation_id="get_plc", summary="Look at a PLC")
async def get_plc(request: HttpRequest, plc: PLCRef) -> dict[str, Any]:
    """One PLC; nothing is sent to it."""
    spec = await plc_for(request, plc)
    statuses = await statuses_of([spec])
    gateway = current()
    await gateway.lock_outs.refresh()
    return _plc(spec, statuses[spec.id], gateway.lock_outs.as_json(spec.id))


def _plc(plc: PLCSpec, status: PLCStatus, lock_out: dict[str, Any] | None) -> dict[str, Any]:
    return {
        "id": plc.id,
        "name": plc.name,
        "title": plc.title,
        "area": plc.area,
        "profile": plc.profile,
        **status.as_news(),
        "lock_out": lock_out,
    }
