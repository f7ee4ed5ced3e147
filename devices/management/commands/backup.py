"""manage.py backup: the whole database in one file."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from devices.management.backup import CannotBackUp, back_up

ALSO = (
    "Not in it, and needed with it: the secret key (SECRET_KEY, or its file), KEY_PEPPER where it is set, and the "
    "certificates in TLS_DIR."
)


class Command(BaseCommand):
    """Safe at any time, also while `serve` runs. Exit code 0: the file is there, whole, and on the disk."""

    help = (
        "Copy the database into a new file, of mode 600, and check the copy; docs/operating.md says how to restore it."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Where to."""
        parser.add_argument("file", type=Path, metavar="FILE", help="a new file; one that is there is not written over")

    def handle(self, *_args: Any, file: Path, **_options: Any) -> None:
        """Say that it is done."""
        try:
            back_up(file)
        except CannotBackUp as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"Backed up to {file} ({file.stat().st_size / 2**20:.1f} MiB), and checked. {ALSO}")
