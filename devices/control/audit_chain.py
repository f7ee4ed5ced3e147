"""Look through the whole chain of the audit: does each entry say what it said, and follow the one before it?"""

from collections.abc import Iterator
from dataclasses import dataclass

from devices.control.audit import digest_of
from devices.models import AuditEntry
from devices.models.audit import FIRST

PAGE = 1000  # entries in memory


@dataclass(frozen=True, kw_only=True, slots=True)
class Mark:
    """How long the chain was at some time, and the digest of its last entry: noted elsewhere, it proves the rest."""

    count: int
    digest: str

    def __str__(self) -> str:
        return f"{self.count}:{self.digest}"


class Broken(Exception):
    """The audit was changed; names the first entry that does not fit."""


def walk(expected: Mark | None = None) -> Mark:
    """Go through the chain from its beginning; returns where it ends now, or raises Broken.

    What was cut off at the end, or written anew as a whole, fits together again: only a mark that was noted earlier
    and kept elsewhere shows that.
    """
    mark = Mark(count=0, digest=FIRST)
    last = 0
    _require_seen(expected, mark)
    for entry in _entries():
        if entry.previous != mark.digest:
            raise Broken(f"entry {entry.pk} does not follow {_named(last)}: one was removed, added or moved there")
        if entry.digest != digest_of(entry):
            raise Broken(f"entry {entry.pk} was changed: it no longer says what its digest stands for")
        mark, last = Mark(count=mark.count + 1, digest=entry.digest), entry.pk
        _require_seen(expected, mark)
    if expected is not None and mark.count < expected.count:
        raise Broken(f"the chain ends after {mark.count} entries, and had {expected.count}: its end was cut off")
    return mark


def _require_seen(expected: Mark | None, mark: Mark) -> None:
    if expected is not None and expected.count == mark.count and expected.digest != mark.digest:
        raise Broken(f"entry number {mark.count} has another digest than was noted: the chain was written anew")


def _named(last: int) -> str:
    return f"entry {last}" if last else "the beginning"


def _entries() -> Iterator[AuditEntry]:
    entries, last = AuditEntry.objects.order_by("id"), 0
    while page := list(entries.filter(id__gt=last)[:PAGE]):
        yield from page
        last = page[-1].pk
