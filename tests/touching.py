"""Which tests can touch the database or Redis at all: the others give the same answer whatever these are."""

from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest

SERVICES = {"django", "channels", "channels_redis", "redis", "psycopg"}
SERVERS = "tests.serving.process"  # starts the product as a process of its own, which no import shows
PRODUCT = ("tests", "devices", "plcsite")
DATABASE_FIXTURES = {"db", "transactional_db"}


def can_touch(item: pytest.Item) -> bool:
    """Its module, or that of one of its fixtures, imports what talks to them, be it over ten others."""
    return (
        item.get_closest_marker("django_db") is not None
        or not DATABASE_FIXTURES.isdisjoint(getattr(item, "fixturenames", ()))
        or any(reaches_services(module) for module in _modules_of(item))
    )


def _modules_of(item: Any) -> Iterator[str]:
    """Where the test and the fixtures that it asks for are written, as far as that is ours."""
    modules = item.module.__name__, *_modules_of_fixtures(item)
    return (name for name in modules if name.partition(".")[0] in PRODUCT)


def _modules_of_fixtures(item: Any) -> Iterator[str]:
    for name, nearest_last in item._fixtureinfo.name2fixturedefs.items():
        for fixture in reversed(nearest_last):
            yield fixture.func.__module__
            if name not in fixture.argnames:  # one that asks for its own name extends the next
                break


@cache
def reaches_services(module: str) -> bool:
    """It imports what talks to them, or what starts the product, be it over ten others."""
    return not (SERVICES | {SERVERS}).isdisjoint({module} | _imports().find_upstream_modules(module))


@cache
def _imports() -> Any:
    """Who imports whom, as import-linter sees it."""
    import grimp

    return grimp.build_graph(*PRODUCT, include_external_packages=True, cache_dir=None)
