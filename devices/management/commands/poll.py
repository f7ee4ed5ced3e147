"""manage.py poll: the poller, in a process of its own."""

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from devices.management import polling
from devices.management.errors import CannotStart


class Command(BaseCommand):
    """Poll until SIGTERM or Ctrl-C; the exit code is 0 where everything was closed."""

    help = (
        "Poll the tags of the PLCs, for servers that run as `serve --no-poll`. Several such processes share the PLCs "
        "among themselves. Needs REDIS_URL."
    )

    def handle(self, *_args: Any, **_options: Any) -> None:
        """Run, and leave with the poller's exit code."""
        try:
            code = polling.run()
        except CannotStart as error:
            raise CommandError(str(error)) from error
        if code:
            sys.exit(code)
