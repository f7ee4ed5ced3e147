"""A real Chromium, the site in a process of its own, and a machine in a thread.

Playwright's loop stays in this thread until the run ends, so that no async test can follow: these come last.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from playwright.sync_api import BrowserContext, Page, WebSocketRoute, expect

from devices.management import demo_registry
from devices.models import PLC
from devices.simulator.simulated_plc import SimulatedPLC
from tests import prepared
from tests.access import new_key
from tests.browser.background import running_in_background
from tests.browser.plant import PLCS, Plant
from tests.browser.watch import Watch
from tests.serving.process import RunningServer, database_url, running_server

CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
HOW_TO_GET_IT = f"no Chromium at {CHROMIUM}: apt-get install chromium, or CHROMIUM=path/of/one"
PATIENCE_MS = 10_000  # a page's, on a busy computer


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the browser's tests last, and leave them out where there is none."""
    items.sort(key=_is_of_the_browser)
    if not Path(CHROMIUM).exists():
        for item in filter(_is_of_the_browser, items):
            item.add_marker(pytest.mark.skip(reason=HOW_TO_GET_IT))


def _is_of_the_browser(item: pytest.Item) -> bool:
    return item.get_closest_marker("browser") is not None


@pytest.fixture(scope="session", autouse=True)
def _database_beside_playwright() -> Iterator[None]:
    """Playwright's loop makes Django take this thread for an event loop's; no test here is async."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
        yield


@pytest.fixture(scope="session")
def base_url() -> None:
    """Each test has a server of its own. (The plugin's own fixture of this name warns under pytest 9.2.)"""


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any]) -> dict[str, Any]:
    """Debian's browser; in containers it has neither a sandbox nor much /dev/shm, and it shall call nobody."""
    flags = (
        "--no-sandbox",
        "--disable-dev-shm-usage",
        "--disable-gpu",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
    )
    return {**browser_type_launch_args, "executable_path": CHROMIUM, "args": list(flags)}


@pytest.fixture
def machine() -> Iterator[SimulatedPLC]:
    """A batch machine that acknowledges at once."""
    with running_in_background(SimulatedPLC()) as plc:
        yield plc


@pytest.fixture
def press(transactional_db: None, machine: SimulatedPLC) -> PLC:
    """The machine in the registry, with the demo's profile."""
    prepared.put_in(demo_registry.create)
    PLC.objects.exclude(name="press-1").delete()
    PLC.objects.update(port=machine.server.port)
    return PLC.objects.get()


@pytest.fixture
def environment(transactional_db: None) -> dict[str, str]:
    """Of a server on this test's database, whose live page is for everybody."""
    redis = {"REDIS_URL": settings.REDIS_URL} if settings.REDIS_URL else {}
    return {"DATABASE_URL": database_url(connection), "LIVE_PUBLIC": "1", "SECRET_KEY": settings.SECRET_KEY, **redis}


@pytest.fixture
def server(environment: dict[str, str], tmp_path: Path) -> Iterator[RunningServer]:
    """The site. What a test registers, it registers before it asks for this."""
    with running_server(tmp_path, env=environment, migrate=False) as running:
        yield running


@pytest.fixture
def key(transactional_db: None) -> str:
    """Of a MES."""
    return new_key()


@pytest.fixture
def mes(key: str) -> Iterator[httpx.Client]:
    """A caller with a key; it gives whole addresses, since servers come and go."""
    with httpx.Client(headers={"X-API-Key": key}, timeout=30) as client:
        yield client


@pytest.fixture
def watch(context: BrowserContext) -> Watch:
    """All that the browser asks for and complains about, from now on."""
    expect.set_options(timeout=PATIENCE_MS)
    context.set_default_timeout(PATIENCE_MS)
    return Watch(context)


@pytest.fixture
def live(watch: Watch, page: Page, server: RunningServer) -> Page:
    """The live page, connected."""
    page.goto(server.url)
    expect(page.locator("html")).to_have_attribute("data-connection", "live")
    return page


@pytest.fixture
def engineer(watch: Watch, context: BrowserContext, server: RunningServer) -> User:
    """Is logged in, in this browser."""
    user = User.objects.create_superuser("engineer")
    client = Client()
    client.force_login(user)
    session = client.cookies[settings.SESSION_COOKIE_NAME].value
    context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": session, "url": server.url}])
    return user


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A site without a PLC, for tests that tell its pages themselves what there is."""
    with running_server(tmp_path_factory.mktemp("site"), env={"LIVE_PUBLIC": "1"}) as running:
        yield running


@pytest.fixture
def visit(watch: Watch, page: Page, site: RunningServer) -> Callable[..., Plant]:
    """Open the overview at an address, and fill it."""
    sockets: list[WebSocketRoute] = []
    page.route_web_socket("**/ws/live/", lambda socket: sockets.append(socket))  # noqa: PLW0108 - Playwright sets attributes on it

    def at(address: str = "", plcs: list[dict[str, Any]] = PLCS) -> Plant:
        page.goto(f"{site.url}/{address}")
        expect(page.locator("html")).to_have_attribute("data-connection", "connecting")
        plant = Plant(page, sockets)
        plant.show(plcs)
        return plant

    return at
