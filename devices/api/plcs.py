"""Which PLCs there are, and whether they can be reached."""

from typing import Any

from django.http import HttpRequest
from ninja import Router

from devices.api.commands import PLCRef
from devices.api.schemas import PLCListOut, PLCOut, answers
from devices.control.gateway import Gateway, current
from devices.plc.specs import PLCSpec

router = Router(tags=["PLCs"])


@router.get("", response=answers(PLCListOut), operation_id="list_plcs", summary="List PLCs")
async def list_plcs(request: HttpRequest) -> dict[str, Any]:  # noqa: ARG001
    """All registered PLCs with what the last conversation found; nothing is sent to them."""
    gateway = current()
    plcs = await gateway.registry.plcs()
    return {"plcs": [_plc(gateway, plc) for _, plc in sorted(plcs.items())]}


@router.get("/{plc}", response=answers(PLCOut), operation_id="get_plc", summary="Look at a PLC")
async def get_plc(request: HttpRequest, plc: PLCRef) -> dict[str, Any]:  # noqa: ARG001
    """One PLC; nothing is sent to it."""
    gateway = current()
    return _plc(gateway, await gateway.registry.find(plc))


def _plc(gateway: Gateway, plc: PLCSpec) -> dict[str, Any]:
    health = gateway.pool.health(plc.id)
    return {
        "id": plc.id,
        "name": plc.name,
        "title": plc.title,
        "area": plc.area,
        "profile": plc.profile,
        "state": health.state.value if plc.is_enabled else "disabled",
        "reason": health.reason if plc.is_enabled else "",
        "mark": health.mark,
    }
