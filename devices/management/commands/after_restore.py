"""manage.py after_restore: no machine is told anything until somebody has looked at it."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from devices.control.restored import hold
from devices.management.database import require_migrated
from devices.management.errors import CannotStart


class Command(BaseCommand):
    """To be run once, after a restore and before the first `serve`."""

    help = (
        "Lock every PLC out, since the database knows nothing of what was done after its backup, and end all sessions. "
        "Each PLC is unlocked on its page by who has looked at its machine."
    )

    def handle(self, *_args: Any, **_options: Any) -> None:
        """Say what was done."""
        try:
            require_migrated()
        except CannotStart as error:
            raise CommandError(str(error)) from error
        held = hold()
        self.stdout.write(
            f"Locked {held.plcs} PLC(s) out and ended {held.sessions} session(s). "
            "Look at each machine, then unlock it on its page."
        )
