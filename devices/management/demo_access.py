"""The demo's logins and API key. Everybody knows these passwords: they belong in a demo and nowhere else."""

import contextlib
import hmac
import os
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.contrib.auth.models import Group, User
from django.db import transaction

from devices.management.errors import CannotStart
from devices.models import APIKey, Grant, Right, Role
from devices.models.access import digest_of
from devices.models.roles import create_roles

KEY_NAME = "demo"
KEY_FILE = "demo_api_key"
ENGINEER = "engineer"


@dataclass(frozen=True, kw_only=True, slots=True)
class Person:
    """Somebody whom the demo brings."""

    name: str
    role: Role
    may: str
    enters_admin: bool = True

    @property
    def password(self) -> str:
        """Known to everybody."""
        return f"demo-{self.name}"


PEOPLE = (
    Person(name=ENGINEER, role=Role.ENGINEER, may="describe and run machines"),
    Person(name="operator", role=Role.OPERATOR, may="run commands on the live pages", enters_admin=False),
    Person(name="security", role=Role.SECURITY, may="keep users, grants and API keys"),
    Person(name="auditor", role=Role.AUDITOR, may="read everything"),
)


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
    create_roles()
    return tuple(_login_of(person) for person in PEOPLE)


def _login_of(person: Person) -> Login:
    user = User.objects.filter(username=person.name).first() or _add_user(person)
    is_known = user.check_password(person.password)
    return Login(name=person.name, password=person.password if is_known else "(as you changed it)", may=person.may)


def _add_user(person: Person) -> User:
    user = User.objects.create_user(person.name, password=person.password, is_staff=person.enters_admin)
    user.groups.add(Group.objects.get(name=person.role))
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
    row.owner = row.owner or User.objects.filter(groups__name=Role.SECURITY).first()
    row.full_clean()
    _write_private(path, fresh)
    row.save()
    _grant(row)
    return fresh


def _grant(key: APIKey) -> None:
    """All that a MES does, on every machine; what was granted or taken away since stays so."""
    if not key.grants.exists():
        for right in (Right.VIEW, Right.EXECUTE, Right.WRITE):
            Grant.objects.create(key=key, right=right)


def _read(path: Path) -> str:
    with contextlib.suppress(FileNotFoundError):
        return path.read_text().strip()
    return ""


def _write_private(path: Path, text: str) -> None:
    """A file of mode 600 from its first moment on, in place of any that was there."""
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text + "\n")
