"""manage.py serve: the gateway, in one process."""

import sys
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from devices.management import serving


class Command(BaseCommand):
    """Serve until SIGTERM or Ctrl-C; the exit code is 0 where everything was finished and closed."""

    help = "Serve the API, the admin and the live page, and execute commands on the PLCs."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Where to listen and how long to drain."""
        parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: this machine only)")
        parser.add_argument("--port", type=int, default=8000, help="0: any free port; it is written to the log")
        parser.add_argument(
            "--drain-s",
            type=float,
            default=settings.DRAIN_S,
            help="seconds that running commands and requests have to finish after SIGTERM (default: %(default)s)",
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        """Run, and leave with the server's exit code."""
        code = serving.run(host=options["host"], port=options["port"], drain_s=options["drain_s"])
        if code:
            sys.exit(code)
