"""The audit as a table, page by page: each page is one short query, however long the audit is."""

from collections.abc import Iterator
from datetime import UTC

from devices.control.audit import Deed, append
from devices.control.spreadsheets import MOST_ROWS, harmless, lines
from devices.models import Action, AuditEntry
from devices.models.audit import AuditEntries

PAGE = 1000  # entries
HEAD = (
    "number",
    "time",
    "who",
    "from",
    "what",
    "kind",
    "subject",
    "id",
    "before",
    "after",
    "detail",
    "previous",
    "digest",
)


class Export:
    """Some entries, oldest first, as they were when it was asked for; that it was asked for is told."""

    def __init__(self, entries: AuditEntries, *, narrowed: str) -> None:
        """`narrowed`: in words, by what the entries were chosen."""
        newest = AuditEntry.objects.order_by("-id").values_list("id", flat=True).first() or 0
        self._entries = entries.filter(id__lte=newest).order_by("id")
        # Counted before anything is locked: commands wait for who writes.
        count = self._entries.count()
        which = f"those with {narrowed}" if narrowed else "all"
        append(Deed(action=Action.EXPORTED, kind="Audit", detail=f"{count} entries: {which}"))

    def texts(self, *, limit: int = MOST_ROWS) -> Iterator[str]:
        """The table, in pieces of some lines; if it is not whole, its last line says so."""
        yield lines([HEAD])
        last, left = 0, limit
        while page := list(self._entries.filter(id__gt=last)[:PAGE]):
            yield lines(map(_row, page[:left]))
            if len(page) > left:
                yield cut(f"after {limit} rows; choose fewer entries")
                return
            last, left = page[-1].pk, left - len(page)


def cut(why: str) -> str:
    """The last line of a table that is not whole."""
    return lines([(f"# cut: {why}",)])


def _row(entry: AuditEntry) -> tuple[str, ...]:
    at = entry.at.astimezone(UTC).isoformat(timespec="microseconds")
    texts = (entry.actor, entry.source, entry.get_action_display(), entry.kind, entry.subject, entry.subject_id)
    more = (entry.before, entry.after, entry.detail, entry.previous, entry.digest)
    return str(entry.pk), at, *map(harmless, (*texts, *more))
