"""One PLC's page in a real browser, on a machine that is polled: values, trends, and what is not live any more."""

import re
import signal
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.db.models import Q
from django.utils import timezone
from playwright.sync_api import Page, expect

from devices.models import PLC, Sample, Series, Tag
from devices.simulator import batch_map
from devices.simulator.simulated_plc import SimulatedPLC
from tests.browser.axe import violations
from tests.browser.background import running_in_background
from tests.browser.bench import eventually, row
from tests.browser.test_looks import CONTRASTS, LEGIBLE, LONG
from tests.browser.watch import mark, was_reloaded
from tests.serving.process import RunningServer, running_server

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

AWAY_MS = 60_000  # a PLC that was off is looked for again after 10 s, and the computer may be busy

# How many pixels of a chart have the colour of a token, left and right of its middle.
COLOURED = """(figure, token) => {
  const canvas = figure.querySelector("canvas");
  const swatch = document.createElement("canvas").getContext("2d");
  swatch.fillStyle = getComputedStyle(document.documentElement).getPropertyValue(token).trim();
  swatch.fillRect(0, 0, 1, 1);
  const wanted = swatch.getImageData(0, 0, 1, 1).data;
  const { data, width } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  const found = [0, 0];
  for (let at = 0; at < data.length; at += 4) {
    const isIt = [0, 1, 2, 3].every((part) => data[at + part] === wanted[part]);
    if (isIt) found[(at / 4) % width < width / 2 ? 0 : 1] += 1;
  }
  return found;
}"""


@pytest.fixture
def environment(environment, press: PLC) -> dict[str, str]:
    """With tags that have a history, one that the PLC does not have, and what was recorded for three quarters."""
    Tag.objects.update(is_recorded=Q(name__in=("temperature", "running")))
    Tag.objects.create(profile=press.profile, name="beyond", table="input_register", address=900, data_type="uint16")
    series = Series.objects.create(plc=press, tag="temperature")
    for minutes in range(59, 14, -1):
        at_ms = int((timezone.now() - timedelta(minutes=minutes)).timestamp() * 1000)
        Sample.objects.create(series=series, at_ms=at_ms, number=95 if minutes == 40 else 60 + minutes / 10)
    return environment


@pytest.fixture
def server(environment: dict[str, str], tmp_path: Path) -> Iterator[RunningServer]:
    """The site, which polls."""
    with running_server(tmp_path, env=environment, migrate=False, polls=True) as running:
        yield running


@pytest.fixture
def plc_page(engineer: User, page: Page, server: RunningServer) -> Page:
    """The page of press-1, with what it holds."""
    return visit(page, server)


def visit(page: Page, server: RunningServer) -> Page:
    page.goto(f"{server.url}/plcs/press-1")
    expect(page.locator("html")).to_have_attribute("data-connection", "live")
    for tag in ("temperature", "batch_size"):  # one of each poll interval
        expect(row(page, tag).locator(".quality")).to_have_text("Good")
    return page


def size(machine: SimulatedPLC, value: int) -> None:
    """An operator sets the batch size at the machine."""
    machine.machine.memory.write(batch_map.BATCH_SIZE.table, batch_map.BATCH_SIZE.address, [value])


def qualities(page: Page) -> set[str]:
    """Of all tags that could be read."""
    rows = page.locator("#tags tr:not([data-quality=bad])")
    return set(rows.evaluate_all("rows => rows.map(row => row.dataset.quality)"))


class TestAPLCsPage:
    def test_shows_what_the_machine_holds_as_it_changes(self, plc_page, machine, server, watch):
        held = row(plc_page, "batch_size").locator(".held")
        expect(held).to_have_text("15")
        for value in (16, 1700):
            size(machine, value)
            expect(held).to_have_text(str(value))
        expect(row(plc_page, "state").locator(".value")).to_have_text("4 Idle")
        expect(row(plc_page, "ready").locator(".value")).to_have_text("on")
        expect(row(plc_page, "temperature").locator(".unit")).to_have_text("°C")
        assert (watch.complaints, watch.hosts()) == ([], {f"127.0.0.1:{server.port}"})

    def test_names_a_tag_that_the_plc_refuses_and_its_reason(self, plc_page):
        expect(row(plc_page, "beyond").locator(".quality")).to_contain_text("Cannot be read: exception 2")
        expect(row(plc_page, "beyond").locator(".held")).to_have_text("–")
        expect(plc_page.locator("#state")).to_contain_text("Degraded")
        expect(plc_page.locator("#state")).to_contain_text("beyond (exception 2")

    def test_leads_to_the_profile(self, plc_page):
        plc_page.get_by_role("link", name="batch-machine").click()
        expect(plc_page).to_have_title(re.compile("batch-machine"))


class TestAPLCThatIsSwitchedOff:
    @pytest.fixture
    def press(self, transactional_db, press: PLC, machine: SimulatedPLC) -> Iterator[PLC]:
        """A machine of this class's own, on the port that the registry has."""
        with running_in_background(SimulatedPLC()) as spare:
            port = spare.server.port
        PLC.objects.update(port=port)
        return press

    def test_has_old_values_only_until_it_is_back(self, press, engineer, page, server, watch):
        port = PLC.objects.get().port
        with running_in_background(SimulatedPLC(port=port)):
            visit(page, server)
        state, quality = page.locator("#state"), row(page, "batch_size").locator(".quality")
        expect(state).to_contain_text("Offline")
        expect(state).to_contain_text("the connection was refused")
        expect(state).to_contain_text("Next try")
        expect(quality).to_have_text(re.compile("Old, read [1-9].* ago"))
        expect(row(page, "batch_size").locator(".held")).to_have_text("15")
        assert qualities(page) == {"old"}
        with running_in_background(SimulatedPLC(port=port)) as machine:
            size(machine, 77)
            expect(row(page, "batch_size").locator(".held")).to_have_text("77", timeout=AWAY_MS)
            expect(quality).to_have_text("Good")
            expect(state).not_to_contain_text("Offline")
        assert watch.complaints == []


class TestAPageThatIsNotConnected:
    def test_shows_nothing_as_live(self, plc_page, server, environment, machine, tmp_path):
        mark(plc_page)
        server.signal(signal.SIGKILL)
        server.wait()
        expect(plc_page.get_by_text("Not connected since")).to_be_visible()
        expect(row(plc_page, "batch_size").locator(".quality")).to_have_text(re.compile("Old, read .*"))
        assert qualities(plc_page) == {"old"}
        size(machine, 44)
        with running_server(tmp_path, port=server.port, env=environment, migrate=False, polls=True):
            expect(row(plc_page, "batch_size").locator(".held")).to_have_text("44", timeout=AWAY_MS)
            expect(row(plc_page, "batch_size").locator(".quality")).to_have_text("Good")
            assert not was_reloaded(plc_page)


class TestAClockThatWasSet:
    @pytest.mark.parametrize("hours", [1, -1])
    def test_is_no_age_of_what_was_just_read(self, hours, plc_page):
        plc_page.evaluate(f"const now = Date.now; Date.now = () => now() + {hours} * 3_600_000")
        plc_page.wait_for_timeout(5000)  # two beats, which tell the gateway's clock
        assert qualities(plc_page) == {"good"}
        expect(row(plc_page, "temperature").locator(".changed")).not_to_contain_text("h")


class TestATrend:
    def test_is_drawn_from_what_was_recorded_and_goes_on(self, plc_page, watch):
        figure = plc_page.locator("figure[data-tag=temperature]")
        expect(figure.locator(".extremes")).to_contain_text("highest 95 °C in the last hour.")
        line = figure.evaluate(COLOURED, "--accent")  # left and right of the middle
        assert min(line) > 50
        over = figure.locator(".u-over")
        width = over.bounding_box()["width"]
        # The cursor stays where it is, and the curve moves on under it: some seconds a pixel.
        for place, said in ((0.5, r"6[123](\.\d)?\s°C"), (0.9, "not read"), (1, r"[2-6]\d.*\s°C")):
            over.hover(position={"x": place * width - 1, "y": 60})
            expect(figure.locator(".cursor")).to_have_text(re.compile(f"[\\d:]{{8}}: {said}"), timeout=AWAY_MS)
        assert watch.complaints == []

    def test_shows_its_peaks_in_a_band(self, plc_page):
        figure = plc_page.locator("figure[data-tag=temperature]")
        expect(figure.locator(".extremes")).to_contain_text("highest 95 °C")  # what was recorded is drawn
        before = figure.evaluate(COLOURED, "--band")
        series = Series.objects.get(tag="temperature")
        start_ms = int((timezone.now() - timedelta(minutes=58)).timestamp() * 1000)
        samples = (Sample(series=series, at_ms=start_ms + 500 * n, number=60 if n % 4 else 90) for n in range(2000))
        Sample.objects.bulk_create(samples)
        plc_page.get_by_role("button", name="8 h").click()
        expect(figure.locator(".extremes")).to_contain_text("in the last 8 hours")
        plc_page.get_by_role("button", name="1 h").click()
        eventually(plc_page, lambda: figure.evaluate(COLOURED, "--band")[0] > before[0] + 500)

    def test_is_of_the_tags_that_somebody_chose_also_the_next_time(self, plc_page, server):
        figures = plc_page.locator("figure.trend")
        expect(figures).to_have_count(2)
        plc_page.get_by_role("button", name="Trend of running", exact=True).click()
        expect(figures).to_have_count(1)
        visit(plc_page, server)
        expect(figures).to_have_count(1)
        expect(plc_page.get_by_role("button", name="Trend of temperature", exact=True)).to_have_attribute(
            "aria-pressed", "true"
        )
        plc_page.get_by_role("button", name="Hide the trend of temperature").click()
        expect(plc_page.get_by_text("No trend is chosen.")).to_be_visible()

    def test_can_be_taken_away_as_a_table(self, plc_page):
        with plc_page.expect_download() as download:
            plc_page.get_by_role("link", name="History of temperature as CSV").click()
        lines = download.value.path().read_text().splitlines()
        assert lines[0].endswith("time,tag,value,unit")
        assert any(",temperature,95" in line for line in lines)

    def test_is_redrawn_in_the_colours_of_the_night(self, plc_page):
        figure = plc_page.locator("figure[data-tag=temperature]")
        expect(figure.locator(".extremes")).to_contain_text("95")
        plc_page.emulate_media(color_scheme="dark")
        eventually(plc_page, lambda: min(figure.evaluate(COLOURED, "--accent")) > 50)

    def test_asks_strangers_to_log_in_for_what_was_recorded(self, watch, page, server):
        visit(page, server)
        expect(page.locator("figure[data-tag=temperature]")).to_contain_text("Log in to see what was recorded before.")
        expect(page.get_by_role("link", name="CSV")).to_have_count(0)
        assert watch.complaints == []


class TestItsLooks:
    @pytest.fixture
    def environment(self, environment, press):
        """With texts that are longer than a phone is wide."""
        PLC.objects.update(title=LONG[:100], area=LONG[:100])
        Tag.objects.filter(name="batch_size").update(description=LONG, unit=LONG[:16])
        return environment

    def test_are_never_wider_than_the_window(self, plc_page):
        for width in (320, 390, 768, 1200, 1280, 1920):
            plc_page.set_viewport_size({"width": width, "height": 844})
            assert plc_page.evaluate("document.documentElement.scrollWidth") <= width, width

    @pytest.mark.parametrize("scheme", ["light", "dark"])
    def test_have_enough_contrast_and_no_barrier(self, scheme, plc_page):
        plc_page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        contrasts = plc_page.evaluate(CONTRASTS)
        assert len(contrasts) > 50
        assert [text for text, ratio in contrasts if ratio < LEGIBLE] == []
        assert violations(plc_page) == []
