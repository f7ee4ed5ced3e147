"""Legible on a phone, at a desk and on a wall, by day and by night."""

import re

import pytest
from django.utils import timezone
from playwright.sync_api import Page, expect

from devices.models import PLC, Run, State

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

# Of each text on the page: its colour and the one behind it, both opaque, as WCAG 2.2 section 1.4.3 compares them.
CONTRASTS = """() => {
  const parse = (color) => (color.match(/[\\d.]+/g) ?? []).map(Number);
  const linear = (value) => (value /= 255) <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const color = parse(getComputedStyle(at).backgroundColor);
      if (color.length === 3 || color[3] === 1) return color;
    }
    return [255, 255, 255];
  };
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const found = [];
  while (texts.nextNode()) {
    const element = texts.currentNode.parentElement;
    if (!texts.currentNode.data.trim() || !element.checkVisibility()) continue;
    const [one, other] = [light(parse(getComputedStyle(element).color)), light(behind(element))];
    const ratio = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
    found.push([texts.currentNode.data.trim(), ratio]);
  }
  return found;
}"""
LEGIBLE = 4.5  # to 1, for text of any size; WCAG 2.2, AA

FINGER = 24  # CSS pixels across; WCAG 2.2 section 2.5.8, AA

LONG = "averylongwordthatsomebodywrotewithoutasinglespaceinit" * 3  # 160 characters that nothing breaks


@pytest.fixture
def environment(environment, press):
    """A run in each state, with texts that are longer than a phone is wide."""
    PLC.objects.update(title=LONG[:100], area=LONG[:100])
    at = timezone.now()
    for number, state in enumerate(State.values, start=1):
        PLC.objects.create(name=f"oven-{number}", profile=press.profile, host="10.0.0.7", is_enabled=False)
        if state not in (State.QUEUED, State.RUNNING):  # the server settles those when it starts
            text = {"plc_name": press.name, "command": "start_batch", "caller": LONG, "detail": LONG}
            Run.objects.create(plc=press, state=state, accepted_at=at, finished_at=at, result={LONG: LONG}, **text)
    return environment


def ground(page: Page) -> int:
    """How light the page is: 0 black, 765 white."""
    return sum(page.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)"))


class TestTheOverview:
    def test_is_never_wider_than_its_window(self, live):
        expect(live.locator("#rows tr")).to_have_count(8)
        for width in (320, 390, 768, 1280, 1920):
            live.set_viewport_size({"width": width, "height": 844})
            assert live.evaluate("document.documentElement.scrollWidth") <= width

    @pytest.mark.parametrize("scheme", ["light", "dark"])
    def test_has_enough_contrast_in(self, scheme, live):
        live.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # a colour on its way to another is none
        assert (ground(live) < 200) == (scheme == "dark")
        contrasts = live.evaluate(CONTRASTS)
        assert len(contrasts) > 50
        assert [text for text, ratio in contrasts if ratio < LEGIBLE] == []

    def test_has_enough_contrast_where_it_is_filtered(self, live):
        live.emulate_media(reduced_motion="reduce")
        live.get_by_role("button", name="Disabled").click()
        live.get_by_role("searchbox").fill("nothing like it")
        expect(live.locator("#no-match")).to_be_visible()
        for scheme in ("light", "dark"):
            live.emulate_media(color_scheme=scheme)
            assert [text for text, ratio in live.evaluate(CONTRASTS) if ratio < LEGIBLE] == []

    def test_gives_a_finger_room_and_shows_where_the_keyboard_is(self, live):
        live.set_viewport_size({"width": 390, "height": 844})
        expect(live.locator(".card")).to_have_count(len(State.values) + 1)
        places = live.locator("main button:visible, main input, h4 a").evaluate_all(
            "places => places.map(place => Math.min(place.offsetHeight || 24, place.offsetWidth || 24))"
        )
        assert min(places) >= FINGER
        live.get_by_role("searchbox").focus()
        for _ in range(12):
            live.keyboard.press("Tab")
            assert live.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"

    def test_says_each_state_in_a_word_and_a_shape_beside_its_colour(self, live):
        pills = live.locator("#rows .pill")
        expect(pills).to_have_count(8)
        said = pills.evaluate_all("pills => pills.map(pill => [pill.innerText, pill.querySelector('path').outerHTML])")
        assert len({word for word, _ in said}) == 8
        assert len({shape for _, shape in said}) == 8

    def test_says_the_state_of_plcs_in_a_word_and_a_shape_wherever_it_stands(self, live):
        for place in (".choice[data-tone=quiet]:visible", ".count", ".card-state .pill"):
            for shown in live.locator(place).all():
                expect(shown).to_contain_text(re.compile("[a-z]"))
                expect(shown.locator("svg path")).to_have_count(1)
