"""Is the process alive, and does it take commands? For load balancers and supervisors, without a key."""

from django.http import HttpRequest, HttpResponse
from ninja import Router

from devices.api import problems
from devices.api.schemas import HealthOut, ProblemOut
from devices.control.errors import NotRunning
from devices.control.gateway import current

router = Router(tags=["Health"], auth=None)


@router.get("/live", response=HealthOut, operation_id="get_live", summary="Alive?")
async def live(request: HttpRequest) -> dict[str, str]:  # noqa: ARG001
    """The event loop answers."""
    return {"status": "alive"}


@router.get("/ready", response={200: HealthOut, 503: ProblemOut}, operation_id="get_ready", summary="Ready?")
async def ready(request: HttpRequest) -> dict[str, str] | HttpResponse:  # noqa: ARG001
    """Commands are taken; not before recovery is done, while the gateway shuts down, or while it cannot connect."""
    if _is_ready():
        return {"status": "ready"}
    return problems.answer(problems.NOT_READY, "This gateway takes no commands now.")


def _is_ready() -> bool:
    try:
        gateway = current()
    except NotRunning:
        return False
    return gateway.is_ready and not gateway.is_draining and gateway.pool.can_connect()
