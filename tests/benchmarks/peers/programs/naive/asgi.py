"""What Daphne serves; fills the database at first, for which a user has the admin."""

import hashlib
import os

import django
from django.core.asgi import get_asgi_application
from django.core.management import call_command


def fill() -> None:
    """PLC_PORTS are registered, and one key."""
    from naive.models import PLC, APIKey

    call_command("migrate", run_syncdb=True, verbosity=0)
    ports = os.environ["PEER_PORTS"].split(",")
    PLC.objects.bulk_create(PLC(name=f"plc-{number}", host="127.0.0.1", port=port) for number, port in enumerate(ports))
    APIKey.objects.create(name="mes", digest=hashlib.sha256(os.environ["PEER_KEY"].encode()).hexdigest())


os.environ["DJANGO_SETTINGS_MODULE"] = "naive.settings"
django.setup()
fill()
application = get_asgi_application()
