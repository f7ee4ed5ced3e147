"""Moments as JSON holds them: ISO 8601, or null where there is none. Pure."""

from datetime import datetime


def written(moment: datetime | None) -> str | None:
    """As text."""
    return None if moment is None else moment.isoformat()


def read(text: str | None) -> datetime | None:
    """What `written` wrote."""
    return None if text is None else datetime.fromisoformat(text)
