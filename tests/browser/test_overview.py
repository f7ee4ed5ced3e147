"""What people find on the overview: PLCs by area, those in trouble by a button, one of many by a search."""

import re

import pytest
from playwright.sync_api import expect

from devices.models import PLC, Profile
from tests.browser.plant import NOW, PLCS, REFUSED, RUNS, plc, run
from tests.browser.watch import mark, was_reloaded

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


class TestGroups:
    def test_are_sorted_as_people_count_and_those_without_an_area_come_last(self, visit, page):
        plant = visit()
        expect(page.locator(".group h3")).to_have_text(["Line 2", "Line 10", "Without an area"])
        assert plant.names() == ["oven", "press-1", "press-2", "press-10", "spare"]

    def test_count_their_own_states_in_words(self, visit, page):
        visit()
        expect(page.locator(".group .counts").first).to_have_text("1 Online1 Degraded1 Offline")
        expect(page.locator(".group .counts").last).to_have_text("1 Disabled")

    def test_follow_a_plc_that_changes_its_state(self, visit, page):
        plant = visit()
        plant.tell(id=3, name="press-1", state="online", reason="", since=None, next_try_at=None, mark="")
        expect(page.locator(".group .counts").first).to_have_text("2 Online1 Degraded")
        expect(plant.button("Offline")).to_be_hidden()
        expect(plant.button("Online")).to_have_text("Online 3")


class TestACard:
    def test_leads_to_the_page_of_its_plc_by_its_whole_title(self, visit, page):
        visit()
        expect(page.get_by_role("link", name="Press 10", exact=True)).to_have_attribute("href", "/plcs/press-10")

    def test_tells_why_a_plc_is_offline_since_when_and_when_it_is_tried_again(self, visit, page):
        since, soon = "2026-01-01T09:30:00+00:00", "2026-01-01T12:00:40+00:00"
        offline = plc(1, "press-1", "", state="offline", reason=REFUSED, since=since, next_try_at=soon)
        visit(plcs=[offline])
        card = page.locator(".card")
        expect(card).to_contain_text(REFUSED)
        expect(card.locator(".times time").first).to_have_text(re.compile(r"^Since .*\d\d:\d\d:\d\d\.$"))
        expect(card.locator(".times time").last).to_have_text(re.compile(r"^Next try in \d+ s\.$"))

    def test_tells_why_a_plc_is_degraded(self, visit, page):
        visit()
        expect(page.locator("[data-plc=oven]")).to_contain_text("2 of 9 tags cannot be read")

    def test_keeps_the_focus_when_it_is_drawn_anew(self, visit, page):
        plant = visit()
        link = page.get_by_role("link", name="Press 10", exact=True)
        link.focus()
        plant.tell(id=1, name="press-10", state="offline", reason=REFUSED, since=NOW, next_try_at=NOW, mark="")
        expect(page.locator("[data-plc=press-10]")).to_contain_text(REFUSED)
        expect(link).to_be_focused()

    def test_that_did_not_change_is_not_built_again(self, visit, page):
        many = [plc(number, f"plc-{number}", f"Line {number % 6}") for number in range(1, 301)]
        plant = visit(plcs=many)
        expect(page.locator(".card")).to_have_count(300)
        page.evaluate("document.querySelectorAll('.card > *').forEach(part => part.isOld = true)")
        plant.tell(id=7, name="plc-7", state="offline", reason=REFUSED, since=NOW, next_try_at=NOW, mark="")
        expect(page.locator("[data-plc=plc-7]")).to_contain_text(REFUSED)
        built = "cards => cards.filter(card => !card.firstElementChild.isOld).map(card => card.dataset.plc)"
        assert page.locator(".card").evaluate_all(built) == ["plc-7"]


class TestStates:
    def test_are_buttons_that_say_how_many_and_show_only_those(self, visit, page):
        plant = visit()
        for word, number in {"All": 5, "Online": 2, "Degraded": 1, "Offline": 1, "Disabled": 1}.items():
            expect(plant.button(word)).to_have_text(f"{word} {number}")
        expect(plant.button("All")).to_have_attribute("aria-pressed", "true")
        plant.button("Offline").click()
        assert plant.names() == ["press-1"]
        expect(plant.button("Offline")).to_have_attribute("aria-pressed", "true")
        expect(plant.button("All")).to_have_attribute("aria-pressed", "false")
        expect(page.get_by_text("1 of 5 PLCs are shown.")).to_be_visible()

    def test_add_up_and_are_taken_back_one_by_one_or_all_at_once(self, visit):
        plant = visit()
        plant.button("Offline").click()
        plant.button("Degraded").click()
        assert plant.names() == ["oven", "press-1"]
        plant.button("Offline").click()
        assert plant.names() == ["oven"]
        plant.button("All").click()
        assert len(plant.names()) == 5

    def test_are_left_by_a_plc_as_soon_as_it_is_in_another(self, visit, page):
        plant = visit("?state=offline")
        plant.tell(id=3, name="press-1", state="online", reason="", since=None, next_try_at=None, mark="")
        expect(page.locator(".card")).to_have_count(0)
        expect(page.get_by_text("No PLC is in this state now: Offline.")).to_be_visible()
        expect(plant.button("Offline")).to_have_text("Offline 0")

    def test_count_what_the_search_found(self, visit):
        plant = visit()
        plant.search.fill("press")
        expect(plant.button("All")).to_have_text("All 3")
        expect(plant.button("Disabled")).to_be_hidden()


class TestSearch:
    @pytest.mark.parametrize(
        ("query", "found"),
        [
            ("PRESS-1", ["press-1", "press-10"]),
            ("kettle", ["oven"]),
            ("line 10", ["press-10"]),
            ("kiln", ["oven"]),
            ("2 press", ["press-1", "press-2"]),
            ("Ｐréss 10", ["press-10"]),
        ],
        ids=["name", "title", "area", "profile", "several words", "letters as they come"],
    )
    def test_finds_as_one_types_by(self, query, found, visit):
        plant = visit()
        plant.search.press_sequentially(query)
        assert plant.names() == found

    def test_is_reached_by_a_slash_and_cleared_by_escape(self, visit, page):
        plant = visit()
        page.keyboard.press("/")
        expect(plant.search).to_be_focused()
        page.keyboard.type("a/b")
        expect(plant.search).to_have_value("a/b")
        page.keyboard.press("Escape")
        expect(plant.search).to_have_value("")
        assert len(plant.names()) == 5
        assert plant.asked == ""

    def test_that_finds_nothing_says_so_and_offers_a_way_back(self, visit, page):
        plant = visit("?state=offline&q=mixer")
        said = "No PLC that matches “mixer” is in this state now: Offline."
        expect(page.get_by_text(said)).to_be_visible()
        expect(page.get_by_role("status").get_by_text("0 of 5 PLCs are shown.")).to_be_visible()
        page.get_by_role("button", name="Show all PLCs").click()
        assert len(plant.names()) == 5
        expect(plant.search).to_be_focused()
        expect(page.get_by_text(said)).to_be_hidden()

    def test_waits_until_an_input_method_has_composed_its_word(self, visit, page):
        plant = visit(plcs=[*PLCS, plc(6, "chongya", "冲压车间")])
        plant.search.focus()
        ime = page.context.new_cdp_session(page)
        ime.send("Input.imeSetComposition", {"text": "chong", "selectionStart": 5, "selectionEnd": 5})
        expect(plant.search).to_have_value("chong")
        assert len(plant.names()) == 6
        ime.send("Input.insertText", {"text": "冲压"})
        expect(page.locator(".card")).to_have_count(1)
        assert plant.names() == ["chongya"]


class TestTheAddress:
    def test_keeps_the_filter_over_a_reload(self, visit, page):
        plant = visit("?wall=3")
        plant.button("Offline").click()
        plant.button("Degraded").click()
        plant.search.fill("line 2")
        assert plant.asked == "?wall=3&state=offline&state=degraded&q=line+2"
        page.reload()
        expect(page.locator("#connection")).to_have_text("Connecting")
        plant.show(PLCS)
        assert plant.names() == ["oven", "press-1"]
        expect(plant.search).to_have_value("line 2")
        expect(plant.button("Degraded")).to_have_attribute("aria-pressed", "true")

    def test_of_a_state_that_does_not_exist_shows_all(self, visit):
        assert len(visit("?state=asleep").names()) == 5


class TestTheNewestRuns:
    def test_lead_to_the_page_of_their_plc(self, visit, page):
        visit()
        link = page.locator("#rows [data-run='7'] .plc a")
        expect(link).to_have_text("Press 2")
        expect(link).to_have_attribute("href", "/plcs/press-2")

    def test_are_those_of_the_plcs_shown_and_say_so(self, visit, page):
        plant = visit()
        expect(page.locator("#rows tr")).to_have_count(2)
        expect(page.get_by_text("Only those of the PLCs shown.")).to_be_hidden()
        plant.button("Offline").click()
        expect(page.locator("#rows tr")).to_have_count(1)
        expect(page.locator("#rows")).to_contain_text("press-1")
        expect(page.get_by_text("Only those of the PLCs shown.")).to_be_visible()
        plant.button("Offline").click()
        plant.search.fill("spare")
        expect(page.get_by_text("None of the PLCs shown has run yet.")).to_be_visible()

    def test_hold_the_last_one_of_each_plc_shown_however_long_ago(self, visit, page):
        plant = visit()
        plant.show(PLCS, [run(number, "press-10") for number in range(20, 100)] + RUNS)
        expect(page.locator("#rows tr")).to_have_count(50)
        expect(page.locator("#rows [data-run='7']")).to_have_count(0)
        plant.search.fill("press-2")
        expect(page.locator("#rows tr")).to_have_count(1)
        expect(page.locator("#rows [data-run='7']")).to_be_visible()


class TestAgainstTheRealServer:
    @pytest.fixture
    def environment(self, environment, press):
        kiln = Profile.objects.create(name="kiln")
        PLC.objects.create(
            name="oven-1", title="Oven 1", area="Line 2", profile=kiln, host="10.0.0.9", is_enabled=False
        )
        return environment

    def test_a_profile_is_searched_and_a_state_is_counted(self, live, page):
        mark(page)
        page.get_by_role("searchbox").fill("kiln")
        expect(page.locator(".card")).to_have_count(1)
        expect(page.locator(".card")).to_contain_text("Oven 1")
        expect(page.locator(".choice[aria-pressed=true]")).to_have_text("All 1")
        page.get_by_role("searchbox").fill("")
        page.get_by_role("button", name="Disabled 1").click()
        expect(page.locator(".card")).to_have_count(1)
        assert not was_reloaded(page)
