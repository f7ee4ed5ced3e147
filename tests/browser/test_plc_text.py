"""A PLC that holds an attack for a text, over the wire to the pages: it is shown, and does nothing."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Page, expect

from devices.models import PLC, Tag
from tests.browser.background import running_in_background
from tests.browser.watch import Watch
from tests.control import rows
from tests.doubles.fault_server import FaultServer
from tests.serving.process import RunningServer, running_server

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

MARKUP = "<img src=x onerror=alert(1)>"
HELD = f"\u202e{MARKUP}\x1b[2J\r\nINFO forged\u2066"
ADDRESS, LENGTH = 100, 40  # registers
STEPS = [
    {"phase": "trigger", "tag": "reset", "value": "1"},
    {"phase": "read", "tag": "lot", "operator": "get"},
]


@pytest.fixture
def machine() -> Iterator[FaultServer]:
    """Its registers hold the text."""
    octets = HELD.encode().ljust(2 * LENGTH, b"\0")
    words = [int.from_bytes(octets[at : at + 2]) for at in range(0, len(octets), 2)]
    with running_in_background(FaultServer()) as plc:
        plc.holding_registers[ADDRESS : ADDRESS + LENGTH] = words
        yield plc


@pytest.fixture
def press(transactional_db: None, machine: FaultServer) -> PLC:
    """`press-1`, whose command reads the text, with names like it wherever a person may type some."""
    profile = rows.make_profile()
    place = {"table": "holding_register", "address": ADDRESS, "data_type": "string", "length": LENGTH}
    Tag.objects.create(profile=profile, name="lot", description=MARKUP, poll_interval_ms=200, **place)
    rows.make_command(profile, "read_lot", STEPS)
    patient = {"connect_timeout_s": 3, "response_timeout_s": 3}
    return rows.make_plc(profile, port=machine.port, title=MARKUP, area=MARKUP, **patient)


@pytest.fixture
def server(environment: dict[str, str], press: PLC, tmp_path: Path) -> Iterator[RunningServer]:
    """The site, which polls."""
    with running_server(tmp_path, env=environment, migrate=False, polls=True) as running:
        yield running


class TestATextOfAPLC:
    def test_is_shown_as_text_on_its_page_and_turns_nothing_around(self, page: Page, server, watch: Watch):
        page.goto(f"{server.url}/plcs/press-1")
        held = page.locator("#tags tr[data-tag=lot] .held")
        expect(held).to_contain_text(MARKUP)
        assert held.evaluate("held => held.textContent") == HELD
        assert held.evaluate("held => getComputedStyle(held).unicodeBidi") == "isolate"
        assert page.locator("main img").count() == 0
        assert (watch.dialogs, watch.complaints) == ([], [])

    def test_is_shown_as_text_as_the_result_of_a_run_and_writes_no_line_into_the_log(
        self, page: Page, server, watch: Watch, mes: httpx.Client, engineer: User
    ):
        answer = mes.post(f"{server.url}/api/plcs/press-1/commands/read_lot", json={})
        assert answer.json()["result"] == {"lot": HELD}
        page.goto(server.url)
        expect(page.locator("#rows .result")).to_contain_text(MARKUP)
        page.goto(f"{server.url}/admin/devices/run/{answer.json()['id']}/change/")
        expect(page.locator("body")).to_contain_text(MARKUP)
        assert page.locator("img[src=x]").count() == 0
        assert (watch.dialogs, watch.complaints) == ([], [])
        assert not any(line.startswith("INFO forged") for line in server.output().splitlines())
