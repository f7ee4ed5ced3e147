"""A command run from its PLC's page: seen before it is sent, sent once, and followed step by step."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from django.utils import timezone
from playwright.sync_api import Locator, Page, Request, Route, expect

from devices.management import demo_registry
from devices.models import PLC, Command, Parameter, Run, State, Step
from devices.simulator import batch_map
from tests.api.conftest import BATCH_NUMBER, FAULT_BIT, START, START_ACK
from tests.browser.axe import violations
from tests.browser.background import running_in_background
from tests.browser.watch import Watch, mark, was_reloaded
from tests.doubles import faults
from tests.doubles.fault_server import FaultServer

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

ACK = START_ACK[1]
RUN_COMMAND = "**/commands/start_batch?*"
ASKED = "Start a batch on Press 1"


@dataclass
class Press:
    """The machine as these tests play it."""

    plc: FaultServer
    is_prompt: bool = True
    """It acknowledges at once; else when it is told to."""

    def obey(self, start: int) -> None:
        self.plc.input_registers[BATCH_NUMBER] += start
        if self.is_prompt or not start:
            self.plc.discrete_inputs[ACK] = start

    def acknowledge(self) -> None:
        self.plc.discrete_inputs[ACK] = 1

    @property
    def starts(self) -> int:
        """How often it was told."""
        return self.plc.writes_to("start").count(1)


@pytest.fixture
def machine() -> Iterator[Press]:
    with running_in_background(FaultServer()) as plc:
        plc.names.update({tag.name: (tag.table, tag.address) for tag in batch_map.TAGS})
        press = Press(plc)
        plc.on_write(START, press.obey)
        yield press


@pytest.fixture
def press(transactional_db: None, machine: Press) -> PLC:
    """In the registry with the demo's profile; it may take its time."""
    demo_registry.create()
    PLC.objects.exclude(name="press-1").delete()
    PLC.objects.update(host=machine.plc.host, port=machine.plc.port)
    Step.objects.filter(phase="wait").update(timeout_s=60)
    return PLC.objects.get()


@pytest.fixture
def environment(environment, press):
    """With a machine."""
    return environment


@pytest.fixture
def site(watch: Watch, page: Page, server, engineer) -> Page:
    """The PLC's page of somebody who is logged in, its commands shown."""
    return opened(page, server)


def opened(page: Page, server) -> Page:
    page.goto(f"{server.url}/plcs/press-1")
    expect(page.locator("html")).to_have_attribute("data-connection", "live")
    return page


def form_of(page: Page, command: str = "start_batch") -> Locator:
    """Its form, opened."""
    form = page.locator(f"[data-command={command}]")
    if form.get_attribute("open") is None:
        form.locator("summary").click()
    return form


def ask(page: Page, **values: str) -> Locator:
    """Fill in the form and press Run; the question that comes."""
    form = form_of(page)
    for name, value in values.items():
        form.locator(f"[name={name}]").fill(value)
    form.get_by_role("button", name="Run…").click()
    return page.get_by_role("dialog")


def lock(page: Page, reason: str = "I replace the belt") -> None:
    page.get_by_text("Lock out for maintenance…").click()
    page.get_by_label("Why").fill(reason)
    page.get_by_role("button", name="Lock out", exact=True).click()


def confirm(dialog: Locator) -> None:
    dialog.get_by_role("button", name="Run: Start a batch").click()


def outcome_of(page: Page) -> Locator:
    return form_of(page).get_by_role("status")


def steps_of(page: Page, run: int) -> Locator:
    """The lines of its timeline, opened."""
    button = page.get_by_role("button", name=f"Steps of run {run}", exact=True)
    if button.get_attribute("aria-expanded") == "false":
        button.click()
    return page.locator(f"#steps-of-{run} li")


def phases_of(page: Page, run: int) -> list[str]:
    return page.locator(f"#steps-of-{run} .timeline strong").all_inner_texts()


def sent(page: Page) -> list[Request]:
    """All that is sent from now on to run a command."""
    found: list[Request] = []
    page.on("request", lambda request: found.append(request) if is_a_run(request) else None)
    return found


def is_a_run(request: Request) -> bool:
    return request.method == "POST" and "/commands/" in request.url and "/check" not in request.url


class TestARunFromThePage:
    def test_names_the_machine_and_each_value_before_it_is_sent_and_tells_its_result(self, site, machine, watch):
        mark(site)
        dialog = ask(site, batch_size="20")
        expect(dialog.get_by_role("heading")).to_have_text(ASKED)
        assert dialog.locator("dt").all_inner_texts() == ["batch size", "maximum consecutive failures"]
        assert dialog.locator("dd").all_inner_texts() == ["20", "3"]
        expect(dialog).to_contain_text("All interlocks hold")
        expect(dialog).to_contain_text("this one begins at once")
        assert machine.plc.writes == []

        confirm(dialog)
        expect(outcome_of(site)).to_contain_text("Succeeded")
        expect(outcome_of(site)).to_contain_text("batch_number\u00a01")
        row = site.locator("#rows [data-state=succeeded]")
        expect(row).to_contain_text("batch_size\u00a020, nok_num\u00a03")
        expect(row).to_contain_text("user engineer")
        run = Run.objects.get()
        assert (run.parameters, run.caller) == ({"batch_size": 20, "nok_num": 3}, "user engineer")
        assert machine.starts == 1
        assert not was_reloaded(site)
        assert watch.complaints == []
        assert len(watch.hosts()) == 1

    def test_fills_its_timeline_while_it_runs(self, site, machine, watch):
        machine.is_prompt = False
        confirm(ask(site))
        expect(site.locator("#rows [data-state=running]")).to_be_visible()
        run = Run.objects.get().pk
        shown = site.locator(f"#steps-of-{run}")
        expect(site.get_by_role("button", name=f"Steps of run {run}")).to_have_attribute("aria-expanded", "true")
        expect(shown.locator(".now")).to_contain_text("its answer is awaited")
        expect(shown.locator("li")).to_have_count(5)
        assert phases_of(site, run) == ["Check", "Check", "Write", "Write", "Trigger"]
        first = shown.locator("li").first.element_handle()

        machine.acknowledge()
        expect(site.locator(f"#run-{run}")).to_have_attribute("data-state", "succeeded")
        expect(shown.locator("li")).to_have_count(9)
        assert phases_of(site, run)[5:] == ["Wait", "Read", "Clean up", "Clean up"]
        expect(shown.locator("li").nth(5)).to_contain_text("read on, wanted = on")
        expect(shown.locator(".now")).to_be_empty()
        assert first.is_visible(), "what was shown already was left as it is"
        assert watch.complaints == []

    def test_is_sent_once_however_fast_the_button_is_pressed(self, site, machine):
        requests = sent(site)
        dialog = ask(site)
        dialog.get_by_role("button", name="Run: Start a batch").dblclick()
        expect(outcome_of(site)).to_contain_text("Succeeded")
        expect(site.locator("#rows [data-run]")).to_have_count(1)
        assert len(requests) == 1
        assert machine.starts == 1

    def test_is_not_sent_by_the_second_click_on_the_button_that_asks(self, site, machine):
        requests = sent(site)
        form_of(site).get_by_role("button", name="Run…").dblclick()
        dialog = site.get_by_role("dialog")
        expect(dialog).to_be_visible()
        expect(dialog.get_by_role("button", name="Run: Start a batch")).to_be_enabled()
        assert requests == []

    def test_that_is_cancelled_in_the_dialog_sends_nothing(self, site, machine, watch):
        requests = sent(site)
        ask(site).get_by_role("button", name="Cancel").click()
        expect(outcome_of(site)).to_have_text("Cancelled: nothing was sent.")
        expect(site.get_by_role("dialog")).to_be_hidden()
        assert requests == []
        assert machine.plc.writes == []
        assert Run.objects.count() == 0
        assert watch.complaints == []

    def test_that_may_have_happened_says_to_look_before_it_is_repeated(self, site, machine):
        machine.plc.swallow_answer_to("start")
        confirm(ask(site))
        expect(outcome_of(site)).to_contain_text("Unknown", timeout=20_000)
        expect(form_of(site)).to_contain_text("It may have happened: look at the machine before you repeat it.")


class TestALostConnection:
    def test_leaves_it_open_and_asking_again_starts_nothing_twice(self, site, machine):
        def lose_the_answer(route: Route) -> None:
            route.fetch()
            route.abort()

        site.route(RUN_COMMAND, lose_the_answer, times=1)
        confirm(ask(site))
        expect(outcome_of(site)).to_contain_text("it is not known whether it was started")
        # Nor does anything else start meanwhile.
        form_of(site).get_by_role("button", name="Run…").click()
        expect(site.get_by_role("button", name="Ask again")).to_be_focused()
        expect(site.get_by_role("dialog")).to_be_hidden()

        site.get_by_role("button", name="Ask again").click()
        expect(outcome_of(site)).to_contain_text("Succeeded")
        expect(site.locator("#rows [data-run]")).to_have_count(1)
        assert machine.starts == 1

    def test_on_the_way_there_is_told_alike_and_asking_again_starts_it(self, site, machine):
        site.route(RUN_COMMAND, lambda route: route.abort(), times=1)
        confirm(ask(site))
        expect(outcome_of(site)).to_contain_text("Not known")
        assert machine.starts == 0
        site.get_by_role("button", name="Ask again").click()
        expect(outcome_of(site)).to_contain_text("Succeeded")
        assert machine.starts == 1

    def test_through_a_proxy_that_answers_in_the_gateways_place_is_not_taken_for_a_no(self, site, machine):
        site.route(RUN_COMMAND, lambda route: route.fulfill(status=502, json={"detail": "bad gateway"}), times=1)
        confirm(ask(site))
        expect(outcome_of(site)).to_contain_text("Not known")


class TestInterlocks:
    def test_are_seen_first_and_a_run_all_the_same_is_rejected(self, site, machine, watch):
        machine.plc.discrete_inputs[FAULT_BIT] = 1
        form = form_of(site)
        form.get_by_role("button", name="Check").click()
        expect(form.get_by_role("status")).to_contain_text("An interlock is open")
        first, second = form.locator(".interlocks li").all()
        expect(first).to_contain_text("Open")
        expect(first).to_contain_text("the machine has a fault, reset it")
        expect(second).to_contain_text("Holds")
        assert Run.objects.count() == 0

        dialog = ask(site)
        expect(dialog).to_contain_text("An interlock is open")
        dialog.get_by_role("button", name="Run all the same: Start a batch").click()
        expect(outcome_of(site)).to_contain_text("Rejected")
        expect(outcome_of(site)).to_contain_text("the machine has a fault, reset it")
        assert machine.plc.writes == []
        run = Run.objects.get().pk
        expect(steps_of(site, run)).to_contain_text("the machine has a fault, reset it")
        assert watch.complaints == []

    def test_that_could_not_be_read_are_told_and_it_can_be_tried_all_the_same(self, site, machine):
        machine.plc.misbehave(faults.hang_up_before, times=None)
        dialog = ask(site)
        expect(dialog).to_contain_text("The interlocks could not be read")
        machine.plc.behave()
        dialog.get_by_role("button", name="Run all the same: Start a batch").click()
        expect(outcome_of(site)).to_contain_text("Succeeded")


class TestAWrongValue:
    @pytest.mark.parametrize(
        ("value", "told"),
        [
            ("0", "Must be at least 1"),
            ("10001", "Must be at most 10000"),
            ("1.5", "Must be a whole number"),
            ("", "Must be filled in; usual is 15"),
        ],
    )
    def test_is_told_at_its_field_and_nothing_is_sent(self, value, told, site, watch):
        form = form_of(site)
        before = len(watch.addresses)
        form.locator("[name=batch_size]").fill(value)
        form.get_by_role("button", name="Run…").click()
        field = form.get_by_label("batch size")
        expect(field).to_be_focused()
        expect(field).to_have_attribute("aria-invalid", "true")
        expect(field).to_have_accessible_description(f"1 to 10000; usual 15 {told}")
        expect(form.get_by_role("status")).to_contain_text("Nothing was sent")
        assert [address for address in watch.addresses[before:] if "/commands/" in address] == []
        field.fill("15")
        expect(form.locator(".fault").first).to_be_empty()


class TestAValueThatOnlyTheTagRefuses:
    @pytest.fixture
    def environment(self, environment):
        """The parameter itself has no limit."""
        Parameter.objects.filter(name="batch_size").update(maximum=None)
        return environment

    def test_is_told_at_its_field_in_the_gateways_words(self, site):
        form = form_of(site)
        form.locator("[name=batch_size]").fill("10001")
        form.get_by_role("button", name="Run…").click()
        expect(form.locator(".fault").first).to_contain_text("10000")
        expect(form.get_by_label("batch size")).to_be_focused()
        expect(form.get_by_role("status")).to_contain_text("Nothing was sent")
        expect(site.get_by_role("dialog")).to_be_hidden()
        assert Run.objects.count() == 0


class TestAForm:
    def test_keeps_what_was_typed_and_the_focus_while_news_come(self, site, mes, server):
        field = form_of(site).get_by_label("batch size")
        field.fill("77")
        assert mes.put(f"{server.url}/api/start/press-1").status_code == 200
        expect(site.locator("#rows [data-state=succeeded]")).to_be_visible()
        expect(field).to_have_value("77")
        expect(field).to_be_focused()

    def test_keeps_it_also_when_the_command_is_edited(self, site, context, server, watch):
        form = form_of(site)
        form.get_by_label("batch size").fill("77")
        admin = context.new_page()
        command = Command.objects.get(name="start_batch")
        admin.goto(f"{server.url}/admin/devices/command/{command.pk}/change/")
        admin.locator("[name=parameters-0-label]").fill("good parts")
        admin.get_by_role("button", name="Save", exact=True).click()
        expect(admin.locator(".messagelist .success")).to_contain_text("start_batch")
        site.bring_to_front()
        expect(form.get_by_label("good parts")).to_have_value("77")
        expect(form).to_have_attribute("open", "")
        assert watch.complaints == []


class TestAPLCThatIsDisabled:
    @pytest.fixture
    def environment(self, environment):
        """An engineer has taken it out of service."""
        PLC.objects.update(is_enabled=False)
        return environment

    def test_says_so_and_is_sent_nothing(self, site, watch):
        expect(site.locator("#commands")).to_contain_text("This PLC is disabled: it takes no commands.")
        form = form_of(site)
        expect(form.get_by_role("button", name="Run…")).to_be_disabled()
        expect(form.get_by_role("button", name="Check")).to_be_disabled()
        assert watch.complaints == []


class TestWhoIsNotLoggedIn:
    def test_sees_no_forms_but_the_way_to_log_in_and_the_runs(self, watch, page, server, press):
        stored_run(press)
        site = opened(page, server)
        expect(site.locator("#rows [data-run]")).to_have_count(1)
        assert site.locator("#commands form").count() == 0
        assert site.locator("#rows").get_by_role("link").count() == 0, "a record is shown to staff"
        site.locator(".disclose").click()
        expect(site.locator(".timeline-row")).to_contain_text("Log in to see the steps")
        assert watch.complaints == []
        site.get_by_role("link", name="Log in to run commands.").click()
        expect(site).to_have_url(f"{server.url}/admin/login/?next=/plcs/press-1")


class TestThePage:
    @pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 390)])
    def test_keeps_nobody_out(self, scheme, width, site, machine):
        site.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        site.set_viewport_size({"width": width, "height": 900})
        machine.plc.discrete_inputs[FAULT_BIT] = 1
        form_of(site, "reset_fault").get_by_role("button", name="Check").click()
        form_of(site).locator("[name=nok_num]").fill("-1")
        form_of(site).get_by_role("button", name="Check").click()
        expect(form_of(site)).to_contain_text("Must be at least 0")
        assert violations(site) == []

        dialog = ask(site, nok_num="3")
        expect(dialog.get_by_role("button", name="Run all the same: Start a batch")).to_be_enabled()
        assert violations(site) == []
        assert site.evaluate("document.documentElement.scrollWidth") <= width
        dialog.get_by_role("button", name="Run all the same: Start a batch").click()
        expect(outcome_of(site)).to_contain_text("Rejected")
        expect(steps_of(site, Run.objects.get().pk)).to_have_count(1)
        assert violations(site) == []
        assert site.evaluate("document.documentElement.scrollWidth") <= width


class TestTheKeyboard:
    def test_is_enough(self, site, machine, watch):
        form = site.locator("[data-command=start_batch]")
        form.locator("summary").focus()
        site.keyboard.press("Enter")
        site.keyboard.press("Tab")
        expect(form.get_by_label("batch size")).to_be_focused()
        site.keyboard.type("5")  # what stands there is selected
        site.keyboard.press("Enter")
        dialog = site.get_by_role("dialog")
        expect(dialog.get_by_role("button", name="Cancel")).to_be_focused()
        assert dialog.locator("dd").all_inner_texts()[0] == "5"
        site.keyboard.press("Escape")
        expect(dialog).to_be_hidden()
        expect(form.get_by_label("batch size")).to_be_focused()
        assert Run.objects.count() == 0

        site.keyboard.press("Enter")
        sure = dialog.get_by_role("button", name="Run: Start a batch")
        expect(sure).to_be_enabled()
        site.keyboard.press("Tab")
        expect(sure).to_be_focused()
        site.keyboard.press("Enter")
        expect(outcome_of(site)).to_contain_text("Succeeded")
        assert machine.starts == 1
        run = Run.objects.get().pk

        steps = site.get_by_role("button", name=f"Steps of run {run}")
        steps.focus()
        is_open = steps.get_attribute("aria-expanded") == "true"
        site.keyboard.press("Enter")
        expect(steps).to_have_attribute("aria-expanded", "false" if is_open else "true")
        expect(steps).to_be_focused()
        assert watch.complaints == []


class TestTheHistory:
    def test_shows_the_newest_and_older_ones_when_asked(self, watch, page, server, press, engineer):
        runs = [stored_run(press, detail=f"the run of {number}").pk for number in range(70)]
        site = opened(page, server)
        rows = site.locator("#rows [data-run]")
        expect(rows).to_have_count(30)
        older = site.get_by_role("button", name="Show older runs")
        older.click()
        expect(rows).to_have_count(60)
        older.click()
        expect(rows).to_have_count(70)
        expect(older).to_be_hidden()
        shown = rows.evaluate_all("rows => rows.map(row => Number(row.dataset.run))")
        assert shown == sorted(runs, reverse=True)
        link = rows.last.get_by_role("link")
        expect(link).to_have_attribute("href", f"/admin/devices/run/{runs[0]}/change/")
        assert watch.complaints == []

    def test_shows_the_steps_of_a_run_that_has_ended(self, watch, page, server, press, engineer):
        line = {"at_ms": 12.4, "phase": "wait", "tag": "state", "operator": "in", "read": 9, "wanted": [4, 6]}
        trace = [{"at_ms": 1.5, "note": "tried again"}, line | {"error": "not met in time"}]
        run = stored_run(press, trace=trace).pk
        site = opened(page, server)
        button = site.get_by_role("button", name=f"Steps of run {run}")
        expect(button).to_have_attribute("aria-expanded", "false")
        button.click()
        steps = site.locator(f"#steps-of-{run} li")
        expect(steps).to_have_count(2)
        first, second = steps.all()
        expect(first).to_contain_text("tried again")
        expect(second).to_contain_text(
            "Wait state read 9 (Aborted), wanted one of 4 (Idle) or 6 (Execute) not met in time"
        )
        expect(second).to_contain_text("+12\u00a0ms")
        button.click()
        expect(site.locator(f"#steps-of-{run}")).to_be_hidden()
        assert watch.complaints == []

    def test_lets_a_run_be_withdrawn_that_waits_for_its_turn(self, site, machine, mes, server, watch):
        machine.is_prompt = False
        start = f"{server.url}/api/plcs/press-1/commands/start_batch?wait=0"
        first, second = (mes.post(start, json={}).json()["id"] for _ in range(2))
        expect(site.locator("#runs .queue")).to_have_text("1 run waits for its turn")
        site.get_by_role("button", name=f"Cancel run {second}").click()
        expect(site.locator(f"#run-{second}")).to_have_attribute("data-state", "cancelled")
        expect(site.locator(f"#run-{second} :focus")).to_have_count(1)  # not lost with the button
        expect(site.locator("#runs .queue")).to_be_empty()
        machine.acknowledge()
        expect(site.locator(f"#run-{first}")).to_have_attribute("data-state", "succeeded")
        assert machine.starts == 1
        assert watch.complaints == []


def stored_run(press: PLC, **fields) -> Run:
    """A run as another process may have stored it."""
    at = timezone.now()
    usual = {"plc_name": press.name, "command": "start_batch", "caller": "key mes", "state": State.FAILED, "version": 3}
    return Run.objects.create(plc=press, accepted_at=at, finished_at=at, **usual | fields)


class TestALockOut:
    def test_tells_of_a_run_that_it_does_not_stop(self, site: Page, machine: Press):
        machine.is_prompt = False
        confirm(ask(site))
        expect(site.locator("#runs")).to_contain_text("its answer is awaited")
        lock(site)
        told = site.locator(".still-moving")
        moving = f"start_batch (run {Run.objects.get().pk}) is still under way: the machine may move."
        expect(told).to_have_text([moving, moving])
        assert site.locator("#lock-out .still-moving, #commands .still-moving").count() == 2
        assert violations(site) == []
        machine.acknowledge()
        expect(told).to_have_text(["", ""])
        expect(site.locator("#lock-out .locked")).to_be_visible()

    def test_takes_back_the_question_that_stood_when_it_came(self, site: Page, context, server, machine: Press):
        dialog = ask(site)
        run = dialog.locator("button.run")
        expect(run).to_be_enabled()
        other = opened(context.new_page(), server)
        lock(other)
        summary = dialog.locator(".summary")
        expect(summary).to_contain_text("I replace the belt · By user engineer since")
        expect(summary).to_have_attribute("data-tone", "bad")
        expect(run).to_be_disabled()
        expect(dialog.locator(".interlocks")).to_be_hidden()
        other.get_by_text("Unlock…").click()
        other.get_by_role("button", name="Unlock", exact=True).click()
        expect(run).to_be_enabled()
        expect(summary).to_have_attribute("data-tone", "good")
        assert machine.starts == 0
