"""Load the registry again and again: what is as it was stays the same object, and costs little.

Most changes concern one PLC or one profile. The rows of all profiles are compared as the database gives them, which
takes a fifth of the time that it takes to make specs of them; only a profile whose rows are others is translated anew.
"""

import hashlib
import secrets
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.db import connection
from django.db.models import Model, QuerySet

from devices.control import translate
from devices.models import PLC, Command, Parameter, Profile, Step, Tag
from devices.plc.specs import PLCSpec

PROFILE_OF: Mapping[type[Model], str] = {
    Profile: "pk",
    Tag: "profile",
    Command: "profile",
    Parameter: "command__profile",
}
PROFILES_OF_STEP = "command__profile", "tag__profile", "parameter__command__profile"


@dataclass(frozen=True, kw_only=True, slots=True)
class _Known:
    """A profile as it was loaded."""

    digest: bytes
    """Of its rows."""
    profile: Profile
    contents: translate.Contents


class Loader:
    """Remembers what it loaded; for one thread."""

    def __init__(self) -> None:
        self._profiles: Mapping[int, _Known] = {}
        self._plcs: Mapping[str, PLCSpec] = {}

    def load(self) -> Mapping[str, PLCSpec]:
        """Every registered PLC by name, in a few queries whatever their number; raises what the database raises."""
        # First: a PLC that is added meanwhile may bring a profile of its own.
        plcs = list(PLC.objects.select_related("heartbeat_tag", "watched_tag"))
        profiles = self._load_profiles()
        parts = {pk: (known.profile, known.contents) for pk, known in profiles.items()}
        specs = [self._as_before(spec) for spec in translate.plc_specs(plcs, parts)]
        self._profiles, self._plcs = profiles, {spec.name: spec for spec in specs}
        return self._plcs

    def _as_before(self, spec: PLCSpec) -> PLCSpec:
        before = self._plcs.get(spec.name)
        # A profile that is as it was is the same object: to look for what is another in its tags would take long.
        if before is None or before.tags is not spec.tags or before != spec:
            return spec
        # Where PLCs may be is no part of what an endpoint is, and yet has to be as it is now.
        return before if before.endpoint.networks == spec.endpoint.networks else spec

    def _load_profiles(self) -> Mapping[int, _Known]:
        digests = _digests()
        same = {pk: known for pk, known in self._profiles.items() if digests.get(pk) == known.digest}
        changed = digests.keys() - same.keys()
        if not changed:
            return same
        rows = Profile.objects.prefetch_related(*translate.PARTS)
        # Where all are new they are not named: a database takes only so many names in one query.
        found = rows.filter(pk__in=changed) if same else rows
        return same | {row.pk: self._made(row, digests[row.pk]) for row in found if row.pk in changed}

    def _made(self, row: Profile, digest: bytes) -> _Known:
        contents, before = translate.contents_of(row), self._profiles.get(row.pk)
        if before is not None and before.contents == contents:
            contents = before.contents
        return _Known(digest=digest, profile=row, contents=contents)


def _digests() -> dict[int, bytes]:
    """Of all that is stored of each profile, by its key."""
    sums: defaultdict[int, Any] = defaultdict(partial(hashlib.blake2b, digest_size=16))
    for model, profile in PROFILE_OF.items():
        for key, *row in _raw(_whole(model, profile)):
            sums[key].update(repr(row).encode())
    for key, of_tag, of_parameter, *row in _raw(_whole(Step, *PROFILES_OF_STEP)):
        is_foreign = of_tag != key or of_parameter not in (key, None)
        # The form would have refused it. It shows what is stored elsewhere, and is never taken for the same.
        sums[key].update(secrets.token_bytes(16) if is_foreign else repr(row).encode())
    return {key: total.digest() for key, total in sums.items()}


def _whole(model: type[Model], *more: str) -> QuerySet[Any, Any]:
    """All rows with all that is stored of each, after what more is asked for."""
    fields = (field.attname for field in model._meta.concrete_fields)  # noqa: SLF001 - Django's documented name
    return model._default_manager.order_by("pk").values_list(*more, *fields)  # noqa: SLF001


def _raw(rows: QuerySet[Any, Any]) -> Iterator[tuple[Any, ...]]:
    """As the database gives them: they are only compared."""
    with connection.cursor() as cursor:
        cursor.execute(*rows.query.sql_with_params())
        yield from cursor
