"""manage.py serve: the gateway, in one process or, with --no-poll and Redis, in one of several."""

import sys
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from devices.management import serving
from devices.management.errors import CannotStart
from devices.management.listening import Address, Inherited

HOST, PORT = "127.0.0.1", 8000


class Command(BaseCommand):
    """Serve until SIGTERM or Ctrl-C; the exit code is 0 where everything was finished and closed."""

    help = "Serve the API, the admin and the live page, execute commands on the PLCs, and poll their tags."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Where to listen, how long to drain, and whether to poll."""
        parser.add_argument("--host", help=f"address to listen on (default: {HOST}, this machine only)")
        parser.add_argument("--port", type=int, help=f"0: any free port; it is written to the log (default: {PORT})")
        parser.add_argument(
            "--fd",
            type=int,
            help="number of an inherited socket that listens, in place of host and port; several may share it",
        )
        parser.add_argument(
            "--drain-s",
            type=float,
            default=settings.DRAIN_S,
            help="seconds that running commands and requests have to finish after SIGTERM (default: %(default)s)",
        )
        parser.add_argument(
            "--no-poll",
            action="store_true",
            help="talk to PLCs for commands only; with REDIS_URL, any number of such processes may serve one database, "
            "and `manage.py poll` may read the tags",
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        """Run, and leave with the server's exit code."""
        code = serving.run(at=_where(options), drain_s=options["drain_s"], polls=not options["no_poll"])
        if code:
            sys.exit(code)


def _where(options: dict[str, Any]) -> Address | Inherited:
    host, port, number = options["host"], options["port"], options["fd"]
    if number is None:
        return Address(host=HOST if host is None else host, port=PORT if port is None else port)
    if host is not None or port is not None:
        raise CommandError("--fd is a socket that listens already: leave out --host and --port.")
    try:
        return Inherited(number)
    except CannotStart as error:
        raise CommandError(str(error)) from error
