"""What operators see on the live page, in a real browser."""

import signal

import pytest
from django.utils import timezone
from playwright.sync_api import Page, WebSocketRoute, expect

from devices.models import PLC, Run, State
from tests.browser.watch import mark, was_reloaded
from tests.serving.process import running_server

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

MARKUP = '<img src=x onerror="alert(1)"><script>alert(2)</script>'
AWAY_MS = 20_000  # between two tries a page waits for at most 5 s, and a server needs its time to start


@pytest.fixture
def environment(environment, press):
    """With a machine, and one that is switched off."""
    PLC.objects.create(name="mixer-1", profile=press.profile, host="127.0.0.1", port=1)
    return environment


def rows(page: Page) -> list[int]:
    """The runs in the order in which they are shown."""
    return [int(run) for run in page.locator("#rows tr").evaluate_all("rows => rows.map(row => row.dataset.run)")]


def stored_run(press: PLC, **fields) -> Run:
    """A run as another process may have stored it."""
    at = timezone.now()
    usual = {"plc_name": press.name, "command": "start_batch", "caller": "key mes", "state": State.FAILED, "version": 3}
    return Run.objects.create(plc=press, accepted_at=at, finished_at=at, **usual | fields)


class TestALivePage:
    @pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL], ids=["ends", "is killed"])
    def test_says_that_it_is_not_connected_when_the_server(self, end, live, server, environment, press, mes, tmp_path):
        before = mes.put(f"{server.url}/api/start/press-1").json()["id"]
        expect(live.locator(f"#rows [data-run='{before}']")).to_be_visible()
        mark(live)
        server.signal(end)
        server.wait()
        expect(live.locator("#connection")).to_have_text("Not connected")
        expect(live.locator("#banner")).to_contain_text("Not connected since")

        # And it comes back by itself, with what was stored meanwhile and what happens at once.
        stored = stored_run(press, detail="stored while the page was away")
        with running_server(tmp_path, port=server.port, env=environment, migrate=False):
            after = mes.put(f"{server.url}/api/start/press-1").json()["id"]
            expect(live.locator("#connection")).to_have_text("Live", timeout=AWAY_MS)
            expect(live.locator("#rows [data-state=succeeded]")).to_have_count(2)
            expect(live.get_by_text("stored while the page was away")).to_be_visible()
            expect(live.locator("#banner")).to_be_empty()
            assert rows(live) == [after, stored.pk, before]
            assert not was_reloaded(live)

    def test_notices_a_frame_that_it_never_got(self, watch, page, server, press, mes):
        lost, said = [], []

        def lose_one(socket: WebSocketRoute) -> None:
            far_end = socket.connect_to_server()

            def pass_on(frame: str) -> None:
                (lost.append if '"news"' in frame and not lost else socket.send)(frame)

            def answer(text: str) -> None:
                said.append(text)
                far_end.send(text)

            far_end.on_message(pass_on)
            socket.on_message(answer)

        page.route_web_socket("**/ws/live/", lose_one)
        page.goto(server.url)
        expect(page.locator("html")).to_have_attribute("data-connection", "live")
        while not lost:
            mes.put(f"{server.url}/api/start/press-1")
            page.wait_for_timeout(500)
        mes.put(f"{server.url}/api/start/press-1")
        expect(page.locator("#rows [data-state=succeeded]")).to_have_count(Run.objects.count())
        assert '{"type":"resync"}' in said

    def test_shows_what_plcs_and_users_write_as_text(self, watch, page, server, press):
        PLC.objects.filter(name=press.name).update(title=MARKUP, area=MARKUP)
        stored_run(press, detail=MARKUP, caller=MARKUP, result={MARKUP: MARKUP}, parameters={"text": MARKUP})
        page.goto(server.url)
        card = "[data-plc=press-1]"
        for place in (
            f"{card} h4",
            "#groups .group:first-child h3",
            "#rows .plc",
            "#rows .detail",
            "#rows .who",
            "#rows .result",
        ):
            expect(page.locator(place)).to_contain_text(MARKUP)
        assert page.locator("main img, main script").count() == 0
        assert watch.dialogs == []
        # Nor was there anything that the page's policy had to stop.
        assert watch.complaints == []

    def test_keeps_the_newest_runs_first_also_in_the_background(self, live, context, server, mes):
        context.new_page().bring_to_front()
        answers = [mes.put(f"{server.url}/api/start/press-1", json={"batsize": size}) for size in range(1, 7)]
        live.bring_to_front()
        expect(live.locator("#rows [data-state=succeeded]")).to_have_count(6)
        assert rows(live) == [answer.json()["id"] for answer in reversed(answers)]

    def test_tells_why_a_start_failed_and_nothing_of_one_that_was_refused(self, live, server, mes):
        assert mes.put(f"{server.url}/api/start/mixer-1", json={"batsize": 0}).status_code == 422
        assert mes.put(f"{server.url}/api/start/mixer-1").status_code == 503
        expect(live.locator("#rows tr")).to_have_count(1)
        expect(live.locator("#rows")).to_contain_text("the connection was refused")
        expect(live.locator("#rows")).to_contain_text("Safe to repeat.")
        mixer = live.locator("[data-plc=mixer-1]")
        expect(mixer).to_contain_text("Not reached")
        expect(mixer).to_contain_text("Failed")
