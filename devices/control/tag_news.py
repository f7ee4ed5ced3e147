"""What a tag is and holds, JSON-ready: how pages and the API name it. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any

from devices.control import moments
from devices.control.values import TagValue
from devices.plc.trace import storable


def value_news(known: TagValue) -> dict[str, Any]:
    """What changes of a tag, JSON-ready: how a page and the API name it."""
    return {
        "name": known.poll.tag.name,
        "value": None if known.value is None else storable(known.value),
        "label": known.label,
        "quality": known.quality.value,
        "reason": known.reason,
        "read_at": moments.written(known.read_at),
        "changed_at": moments.written(known.changed_at),
    }


def tag_row(known: TagValue) -> dict[str, Any]:
    """A tag with what it is and what it holds, JSON-ready."""
    poll, tag = known.poll, known.poll.tag
    return {
        **value_news(known),
        "age_s": known.age_s,
        "description": poll.description,
        "table": tag.table.value,
        "address": tag.address,
        "type": tag.data_type.value,
        "unit": tag.unit,
        "scale": float(tag.scale),
        "offset": float(tag.offset),
        "labels": {str(number): text for number, text in tag.labels.items()},
        "minimum": None if tag.minimum is None else float(tag.minimum),
        "maximum": None if tag.maximum is None else float(tag.maximum),
        "is_writable": poll.is_writable,
        "interval_s": poll.interval_s,
        "old_after_s": poll.old_after_s,
        "is_recorded": poll.is_recorded,
    }


def news_of(values: Iterable[TagValue]) -> Mapping[str, dict[str, Any]]:
    """What several tags hold now, by name."""
    return {known.poll.tag.name: value_news(known) for known in values}
