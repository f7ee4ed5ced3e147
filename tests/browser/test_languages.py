"""The pages in the language of the browser, and in English where it wants one that they do not speak."""

import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.plant import PLCS, REFUSED, Plant, plc

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

LAST_YEAR = "2025-03-09T08:05:00+00:00"
NAMES = {"PLC", "API", "Line", "press", "start", "batch", "key", "mes"}
LATIN = re.compile("[A-Za-z]{2,}")


@pytest.fixture
def browser_context_args(browser_context_args: dict[str, Any], request: pytest.FixtureRequest) -> dict[str, Any]:
    """A browser of the language that the test is about, at the time zone of nobody."""
    return {**browser_context_args, "locale": request.param, "timezone_id": "UTC"}


in_english = pytest.mark.parametrize("browser_context_args", ["en-US", "de-DE"], indirect=True)
in_chinese = pytest.mark.parametrize("browser_context_args", ["zh-CN", "zh-Hans-SG"], indirect=True)


def offline_since(plant: Plant) -> str:
    plant.show([plc(1, "press-1", "", state="offline", reason=REFUSED, since=LAST_YEAR)])
    return plant.page.locator(".times time").inner_text()


class TestABrowser:
    @in_english
    def test_that_speaks_english_or_what_we_do_not_gets_english(self, visit, page: Page):
        plant = visit()
        expect(page.locator("html")).to_have_attribute("lang", "en")
        expect(page).to_have_title("PLC gateway: live")
        expect(plant.button("Offline")).to_have_text("Offline 1")
        assert offline_since(plant) == "Since Mar 9, 2025, 08:05:00."

    @in_chinese
    def test_that_speaks_chinese_gets_chinese(self, visit, page: Page):
        plant = visit()
        expect(page.locator("html")).to_have_attribute("lang", "zh-hans")
        expect(page).to_have_title("PLC 网关：实时")
        expect(page.get_by_role("button", name="离线 1")).to_be_visible()
        expect(page.get_by_role("searchbox")).to_have_attribute("placeholder", "搜索（按 /）")
        assert offline_since(plant) == "自 2025年3月9日 08:05:00 起。"

    @in_chinese
    def test_that_speaks_chinese_reads_no_english_but_names(self, visit, page: Page):
        plant = visit(plcs=[{**one, "reason": "", "title": "", "name": f"机{one['id']}"} for one in PLCS])
        texts = [page.locator("body").inner_text()]
        plant.search.fill("没有")
        texts.append(page.locator("body").inner_text())
        plant.search.fill("")
        plant.show([], [])
        expect(page.locator("#no-plcs")).to_be_visible()
        texts.append(page.locator("body").inner_text())
        assert set(LATIN.findall(" ".join(texts))) <= NAMES

    @in_chinese
    def test_that_speaks_chinese_is_told_so_of_an_address_without_a_plc(self, page: Page, watch, site):
        answer = page.goto(f"{site.url}/plcs/press-9")
        assert answer is not None
        assert answer.status == 404
        expect(page.get_by_role("heading", level=1)).to_have_text("没有此 PLC")
        expect(page.locator("main")).to_contain_text("未登记名为 press-9 的 PLC。")


class TestThePageOfAPLC:
    @pytest.fixture
    def environment(self, environment, press):
        """With a machine."""
        return environment

    @pytest.mark.parametrize("browser_context_args", ["en-US", "zh-CN"], indirect=True)
    def test_has_on_a_phone_a_row_for_the_connection_and_one_for_the_ways_about(self, page: Page, server, engineer):
        page.set_viewport_size({"width": 390, "height": 844})
        page.goto(f"{server.url}/plcs/press-1")
        expect(page.locator("html")).to_have_attribute("data-connection", "live")
        boxes = [
            page.locator(f"header {part}").bounding_box() for part in (".brand", ".connection", "nav", ".who-is-here")
        ]
        brand, pill, ways, person = (box or {} for box in boxes)
        assert max(brand["y"], pill["y"]) + 10 < min(ways["y"], person["y"])
        assert ways["y"] < person["y"] + person["height"]
        assert person["y"] < ways["y"] + ways["height"]
        assert ways["x"] == brand["x"]
        assert person["x"] + person["width"] == pytest.approx(pill["x"] + pill["width"], abs=1)

    @in_chinese
    def test_speaks_chinese_also_in_its_question_before_a_run(self, page: Page, server, engineer):
        page.goto(f"{server.url}/plcs/press-1")
        expect(page.locator("#connection")).to_have_text("实时")
        headings = ["变量值", "趋势", "命令", "执行记录"]
        expect(page.get_by_role("heading", level=2)).to_have_text(headings)
        expect(page.locator("#tags .quality").first).to_contain_text("尚未读取")
        form = page.locator("[data-command=start_batch]")
        form.locator("summary").click()
        form.get_by_role("button", name="执行…").click()
        dialog = page.get_by_role("dialog")
        expect(dialog).to_contain_text("联锁条件全部满足：目前可以执行该命令。")
        dialog.get_by_role("button", name="取消").click()
        expect(form.get_by_role("status")).to_have_text("已取消：未发送任何内容。")
