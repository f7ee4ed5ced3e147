"""The one address."""

import hashlib
import json

from django.http import HttpRequest, JsonResponse
from django.urls import path
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from pymodbus.client import AsyncModbusTcpClient

from naive.models import PLC, APIKey, Run


@csrf_exempt
async def start(request: HttpRequest, name: str) -> JsonResponse:
    """Look up the key and the PLC, record, tell the machine over a connection of its own, complete the record."""
    digest = hashlib.sha256(request.headers["X-API-Key"].encode()).hexdigest()
    key = await APIKey.objects.aget(digest=digest)
    plc = await PLC.objects.aget(name=name)
    given = json.loads(request.body)
    run = await Run.objects.acreate(plc=plc, caller=key.name, parameters=given, state="running")
    client = AsyncModbusTcpClient(plc.host, port=plc.port, timeout=1, retries=0)
    try:
        await client.connect()
        written = await client.write_registers(0, [given["batch_size"], given["nok_num"]], device_id=plc.unit_id)
        started = await client.write_coil(0, True, device_id=plc.unit_id)
    finally:
        client.close()
    is_done = not (written.isError() or started.isError())
    run.state, run.finished_at = "succeeded" if is_done else "failed", timezone.now()
    await run.asave(update_fields=["state", "finished_at"])
    return JsonResponse({"id": run.pk, "plc": name, "state": run.state}, status=200 if is_done else 502)


urlpatterns = [path("start/<str:name>", start)]
