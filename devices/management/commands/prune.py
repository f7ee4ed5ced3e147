"""manage.py prune: what is kept for some days only goes now."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from django.utils import timezone

from devices.control.prune import prune


class Command(BaseCommand):
    """Let go what is old; safe at any time, also while `serve` runs, which does so daily by itself."""

    help = (
        "Empty the raw frames of runs that ended more than FRAMES_DAYS days ago (the runs and their traces stay), and "
        "delete samples of tags that are more than HISTORY_DAYS days old."
    )

    def handle(self, *_args: Any, **_options: Any) -> None:
        """Say what was done."""
        gone = prune(now=timezone.now())
        self.stdout.write(
            f"Emptied the frames of {gone.runs} run(s) that ended more than {settings.FRAMES_DAYS} days ago."
        )
        self.stdout.write(f"Deleted {gone.samples} sample(s) more than {settings.HISTORY_DAYS} days old.")
