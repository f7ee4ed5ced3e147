"""The whole product with simulated machines, for trying it."""

import ipaddress
import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from functools import partial
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

from devices.management import demo_access, demo_registry, serving
from devices.management.demo_machines import MACHINES, require_free_ports, simulate
from devices.management.errors import CannotStart
from devices.management.listening import Address
from devices.management.lock import sole_server
from devices.simulator.errors import CannotListen

READY = """
  Live page    {url}/
  Admin        {url}/admin/
  API docs     {url}/api/docs

  Logins
{logins}

  API key      {key}

  Start a batch on press-1:
  curl -X PUT {url}/api/start/press-1 -H 'X-API-Key: {key}' -H 'Content-Type: application/json' {body}

  Ctrl-C ends everything.
"""
BODY = """-d '{"batsize": 15, "noksize": 3}'"""


class Command(BaseCommand):
    """Everything runs in this one process, so that its end is the end of all of it."""

    help = "Sets up a demo (database, registry, logins) and runs it with simulated machines until Ctrl-C."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Where people reach it; the machines have ports of their own."""
        parser.add_argument("--host", default="127.0.0.1", help="address to serve on (default: this computer only)")
        parser.add_argument("--port", type=int, default=8000, help="port of the pages and the API (default 8000)")

    def handle(self, *, host: str, port: int, **_: Any) -> None:
        """Prepare what is missing, then serve."""
        switched_on = [machine for machine in MACHINES if machine.is_switched_on]
        try:
            require_free_ports(switched_on)
            logins, key = self._prepare()
            code = serving.run(
                at=Address(host=host, port=port),
                companions=[simulate(machine) for machine in switched_on],
                on_ready=partial(self._say_ready, host, port, logins, key),
            )
        except (CannotStart, CannotListen) as error:
            raise CommandError(str(error)) from error
        if code:
            sys.exit(code)

    def _prepare(self) -> tuple[Sequence[demo_access.Login], str]:
        with sole_server():  # what another gateway serves is not ours to change
            call_command("migrate", interactive=False, verbosity=0)
            # The logins first: they refuse a database that is not a demo's.
            logins = demo_access.create()
            demo_registry.create()
            return logins, demo_access.key()

    def _say_ready(self, host: str, port: int, logins: Sequence[demo_access.Login], key: str) -> None:
        if not _is_loopback(host):
            self.stderr.write("Others can reach this demo, and its passwords are known to everybody.")
        told = "\n".join(f"    {login.name:<10} {login.password:<14} may {login.may}" for login in logins)
        self.stdout.write(READY.format(url=f"http://{_shown(host)}:{port}", logins=told, key=key, body=BODY))
        self.stdout.flush()


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _shown(host: str) -> str:
    """An address that a browser on this computer can open."""
    if host in ("0.0.0.0", "::", ""):  # compared, not listened on  # noqa: S104  # nosec B104
        return "127.0.0.1"
    return f"[{host}]" if ":" in host else host
