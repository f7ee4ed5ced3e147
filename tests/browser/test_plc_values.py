"""What the page of a PLC says of its tags, and how far that is to be relied on."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, WebSocketRoute, expect

from tests.browser.bench import NOW, Bench, ago, tag
from tests.browser.test_live_page import MARKUP
from tests.browser.watch import Watch
from tests.serving.process import RunningServer, manage, running_server

pytestmark = pytest.mark.browser

REGISTER = "from devices.management import demo_registry; demo_registry.create()"
COUNT_CHANGES = """() => {
  window.touched = new Set();
  const note = ({ target }) => {
    const row = (target.closest ? target : target.parentElement).closest("#tags tr");
    if (row) window.touched.add(row.dataset.tag);
  };
  const seen = { subtree: true, childList: true, characterData: true, attributes: true };
  new MutationObserver((changes) => changes.forEach(note)).observe(document.getElementById("tags"), seen);
}"""


@pytest.fixture(scope="module")
def plant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A site with the demo's PLCs, which nobody polls: the tests say themselves what they hold."""
    home = tmp_path_factory.mktemp("plant")
    for arguments in (("migrate", "--verbosity", "0"), ("shell", "--command", REGISTER)):
        made = manage(home, *arguments)
        assert made.returncode == 0, made.stderr
    with running_server(home, env={"LIVE_PUBLIC": "1"}, migrate=False) as running:
        yield running


@pytest.fixture
def bench(watch: Watch, page: Page, plant: RunningServer) -> Bench:
    """The page of press-1, connected to this test."""
    sockets: list[WebSocketRoute] = []
    page.route_web_socket("**/ws/plcs/press-1/", lambda socket: sockets.append(socket))  # noqa: PLW0108 - Playwright sets attributes on it
    page.goto(f"{plant.url}/plcs/press-1")
    expect(page.locator("html")).to_have_attribute("data-connection", "connecting")
    return Bench(page, sockets[-1])


class TestAValue:
    @pytest.mark.parametrize(
        ("fields", "shown"),
        [
            ({"value": 65535}, "65535"),
            ({"value": 60.00000001, "type": "float32"}, "60"),
            ({"value": 46.400001525878906, "type": "float32", "unit": "°C"}, "46.4 °C"),
            ({"value": 0.1 + 0.2, "type": "float64"}, "0.3"),
            ({"value": -1234567.8, "type": "float64"}, "-1234568"),
            ({"value": 1.25e-7, "type": "float64"}, "1.25e-7"),
            ({"value": "NaN", "type": "float32"}, "NaN"),
            ({"value": 2**64 - 1, "type": "uint64"}, "≈ 18446744073709552000"),
            ({"value": True, "type": "bool"}, "on"),
            ({"value": False, "type": "bool"}, "off"),
            ({"value": "LOT 7", "type": "string"}, "LOT 7"),
            ({"value": 4, "labels": {"4": "Idle"}}, "4 Idle"),
            ({"value": 25.0, "scale": 0.5, "offset": 5, "labels": {"40": "Full"}}, "25 Full"),
            ({"value": None, "quality": "unread", "read_at": None}, "–"),
        ],
    )
    def test_is_written_as_people_read_it(self, fields, shown, bench):
        bench.show(tag(**fields))
        expect(bench.row().locator(".value")).to_have_text(shown)

    def test_is_marked_when_it_changes_and_only_then(self, bench):
        bench.show(tag(value=1))
        mark = bench.row().locator(".value[data-changed]")
        expect(bench.held()).to_have_text("1")
        expect(mark).to_have_count(0)
        bench.tell_value(value=2)
        expect(mark).to_have_text("2")
        expect(mark).to_have_count(0)

    def test_touches_no_row_but_its_own(self, bench, page):
        bench.show(*(tag(f"t{number}", value=0) for number in range(200)))
        expect(bench.held("t199")).to_have_text("0")
        page.evaluate(COUNT_CHANGES)
        bench.tell_value("t150", value=1)
        expect(bench.held("t150")).to_have_text("1")
        assert page.evaluate("[...window.touched]") == ["t150"]

    def test_is_text_whatever_stands_in_it(self, bench, page, watch):
        bench.show(tag(value=MARKUP, type="string", description=MARKUP, unit=MARKUP), title=MARKUP, area=MARKUP)
        bench.tell("plc", plc={"id": 1, "state": "offline", "reason": MARKUP, "mark": MARKUP, "next_try_at": None})
        for place in ("h1", "#about", "#state .mark", "#tags .held", "#tags .unit", "#tags .about"):
            expect(page.locator(place)).to_contain_text(MARKUP)
        assert page.locator("main img, main script").count() == 0
        assert (watch.dialogs, watch.complaints) == ([], [])


class TestQuality:
    def test_is_said_in_words(self, bench):
        bench.show(
            tag("fresh"),
            tag("aged", read_at=ago(125), old_after_s=5),
            tag("refused", value=None, quality="bad", reason="exception 2"),
            tag("coming", value=None, quality="unread", read_at=None),
            tag("spare", value=None, quality="unread", read_at=None, interval_s=0),
        )
        said = {"fresh": "Good", "aged": "Old, read 2 min ago", "refused": "Cannot be read: exception 2"}
        for name, words in {**said, "coming": "Not read yet", "spare": "Not polled"}.items():
            expect(bench.quality(name)).to_have_text(words)

    def test_grows_old_by_itself_and_good_by_the_next_round(self, bench):
        bench.show(tag("fast", old_after_s=2), tag("slow", interval_s=60.0))
        expect(bench.quality("fast")).to_have_text("Good")
        expect(bench.quality("fast")).to_contain_text("Old, read")
        bench.tell("read", interval_s=60.0, at=ago(-60))
        bench.tell("read", interval_s=1.0, at=ago(-3600))
        expect(bench.quality("fast")).to_have_text("Good")
        expect(bench.quality("slow")).to_have_text("Good")

    @pytest.mark.parametrize("state", ["offline", "disabled"])
    def test_of_a_plc_that_nobody_reads_is_old_at_once(self, state, bench):
        bench.show(tag())
        bench.tell("plc", plc={"id": 1, "state": state, "reason": "", "since": NOW.isoformat()})
        expect(bench.quality()).to_contain_text("Old, read")

    def test_stays_bad_while_rounds_go_on(self, bench):
        bench.show(tag(value=None, quality="bad", reason="exception 2"))
        bench.tell("read", interval_s=1.0, at=ago(-1))
        expect(bench.quality()).to_have_text("Cannot be read: exception 2")


class TestTheFilter:
    def test_is_there_for_many_tags_only(self, bench, page):
        bench.show(*(tag(f"t{number}") for number in range(12)))
        expect(bench.row("t11")).to_be_visible()
        expect(page.get_by_role("searchbox", name="Filter tags")).to_be_hidden()

    def test_leaves_the_tags_that_have_all_its_words(self, bench, page):
        bench.show(*(tag(f"t{number}") for number in range(20)), tag("oil", description="Température of the gear"))
        page.get_by_role("searchbox", name="Filter tags").fill("gear TEMPERATURE")
        expect(page.locator("#tags tr:visible")).to_have_count(1)
        expect(bench.row("oil")).to_be_visible()
        expect(page.locator("#found")).to_have_text("1 of 21 tags")
        page.get_by_role("searchbox", name="Filter tags").fill("")
        expect(page.locator("#tags tr:visible")).to_have_count(21)


class TestTheHead:
    def test_says_state_reason_since_and_next_try(self, bench, page):
        away = {"state": "offline", "reason": "the connection was refused", "next_try_at": ago(-3600)}
        bench.show(tag(), **away, since=ago(86400), mark="4 bytes too many")
        state = page.locator("#state")
        for words in ("Offline", "the connection was refused", "Since ", "Next try in ", "4 bytes too many"):
            expect(state).to_contain_text(words)

    def test_says_of_a_disabled_plc_what_that_means(self, bench, page):
        bench.show(tag(), state="disabled", is_enabled=False)
        expect(page.locator("#state")).to_contain_text("Switched off in Admin")
