"""The demo's logins and API key. Everybody knows these passwords: they belong in a demo and nowhere else."""

import contextlib
import hmac
import os
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.contrib.auth.models import Permission, User
from django.db import transaction

from devices.management.errors import CannotStart
from devices.models import APIKey
from devices.models.access import digest_of

KEY_NAME = "demo"
KEY_FILE = "demo_api_key"
ENGINEER = "engineer"
OPERATOR = "operator"
PASSWORDS = {ENGINEER: "demo-engineer", OPERATOR: "demo-operator"}
MAY = {ENGINEER: "everything", OPERATOR: "view"}


class NotADemo(CannotStart):
    """The database has users of its own: known passwords would open a real gateway."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Login:
    """What to tell the person who tries the demo."""

    name: str
    password: str
    may: str


@transaction.atomic
def create() -> tuple[Login, ...]:
    """Add the logins that are missing; NotADemo if the database is somebody's real one."""
    if User.objects.exists() and not User.objects.filter(username=ENGINEER).exists():
        raise NotADemo(
            "this database has users of its own, and the demo would add logins whose passwords everybody knows: "
            "set DATA_DIR (or DATABASE_URL) to a place of its own"
        )
    return tuple(_add_login(name) for name in PASSWORDS)


def _add_login(name: str) -> Login:
    user = User.objects.filter(username=name).first() or _add_user(name)
    is_known = user.check_password(PASSWORDS[name])
    return Login(name=name, password=PASSWORDS[name] if is_known else "(as you changed it)", may=MAY[name])


def _add_user(name: str) -> User:
    if name == ENGINEER:
        return User.objects.create_superuser(name, password=PASSWORDS[name])
    user = User.objects.create_user(name, password=PASSWORDS[name], is_staff=True)
    views = Permission.objects.filter(content_type__app_label="devices", codename__startswith="view_")
    user.user_permissions.set(views.exclude(codename="view_apikey"))
    return user


def key() -> str:
    """The demo's API key: the one in its file if it still fits, else a new one in its place.

    The database keeps only a hash, so the file is the one place from which a second run can show it again.
    """
    path = Path(settings.DATA_DIR) / KEY_FILE
    row = APIKey.objects.filter(name=KEY_NAME).first() or APIKey(name=KEY_NAME)
    kept = _read(path)
    if kept and row.revoked_at is None and hmac.compare_digest(digest_of(kept), row.digest):
        return kept
    # A key that was revoked stays dead: this is another secret.
    fresh = row.issue()
    row.revoked_at = None
    row.full_clean()
    _write_private(path, fresh)
    row.save()
    return fresh


def _read(path: Path) -> str:
    with contextlib.suppress(FileNotFoundError):
        return path.read_text().strip()
    return ""


def _write_private(path: Path, text: str) -> None:
    """A file of mode 600 from its first moment on, in place of any that was there."""
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text + "\n")
