"""manage.py verify_audit: has anybody changed the audit?"""

import re
import sys
from argparse import ArgumentParser, ArgumentTypeError
from typing import Any

from django.core.management.base import BaseCommand
from django.db import connection

from devices.control.audit_chain import Broken, Mark, walk
from devices.models import audit_guard

MARK = re.compile(r"(\d{1,18}):([0-9a-f]{64})", re.ASCII)
UNGUARDED = "the database has lost the triggers that refuse changes of the audit: `manage.py migrate` made them"


def mark_of(text: str) -> Mark:
    """What was noted earlier."""
    found = MARK.fullmatch(text)
    if found is None:
        raise ArgumentTypeError("must be COUNT:DIGEST, as an earlier verify_audit printed it")
    return Mark(count=int(found[1]), digest=found[2])


class Command(BaseCommand):
    """Exit code 0 where every entry fits, else 1; safe at any time, also while `serve` runs."""

    help = (
        "Check the chain of the audit from its beginning. Prints COUNT:DIGEST of its end: note it elsewhere, and give "
        "it back with --expect, since an end that was cut off cannot be seen by the chain alone."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """What somebody noted."""
        parser.add_argument("--expect", type=mark_of, metavar="COUNT:DIGEST", help="what an earlier run printed")

    def handle(self, *_args: Any, expect: Mark | None, **_options: Any) -> None:
        """Say how it is."""
        try:
            mark = walk(expect)
        except Broken as error:
            self._fail(f"The audit was tampered with: {error}.")
        if not audit_guard.is_installed(connection):
            self._fail(f"All {mark.count} entries fit, but {UNGUARDED}.")
        self.stdout.write(f"All {mark.count} audit entries fit. To note down:\n{mark}")

    def _fail(self, text: str) -> None:
        self.stderr.write(text)
        sys.exit(1)
