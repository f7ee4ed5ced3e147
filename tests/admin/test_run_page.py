"""Records are looked at, never changed."""

from datetime import timedelta

import pytest
from django.utils import timezone

from devices.models import Run
from tests.models import rows

TRACE = [
    {"at_ms": 1.5, "phase": "check", "tag": "fault", "operator": "==", "read": False},
    {"at_ms": 2.5, "phase": "trigger", "tag": "start", "operator": "set", "sent": True},
    {"at_ms": 9, "phase": "wait", "tag": "ack", "operator": "==", "read": 0, "error": "not met in time"},
    {"at_ms": 11, "note": "cleanup not done: <script>alert(1)</script>"},
]


@pytest.fixture
def run(profile):
    now = timezone.now()
    return Run.objects.create(
        plc=rows.stored(rows.plc(profile)),
        plc_name="press-1",
        command="start_batch",
        parameters={"batch_size": 15},
        caller="key mes-line-1",
        state="timed_out",
        effect="unknown",
        detail="ack is false, wanted == true",
        result={"batch_number": 7},
        trace=TRACE,
        accepted_at=now - timedelta(seconds=1.25),
        finished_at=now,
    )


class TestRecord:
    def test_is_readable(self, engineer, run):
        page = engineer.get(f"/admin/devices/run/{run.pk}/change/").content.decode()
        for text in ("timed out", "batch_size", "batch_number", "fault ==", "read false", "sent true", "1.25 s",
                     "read 0, error not met in time"):  # fmt: skip
            assert text in page

    def test_shows_text_of_machines_as_text(self, engineer, run):
        page = engineer.get(f"/admin/devices/run/{run.pk}/change/").content.decode()
        assert "<script>alert" not in page
        assert "&lt;script&gt;alert" in page

    def test_shows_what_was_said_before_it_was_reconciled(self, engineer, run):
        before = {
            "state": "unknown",
            "effect": "unknown",
            "detail": "<b>lost</b>",
            "at": "2026-01-02",
            "by": "user anna",
        }
        Run.objects.update(history=[before], state="succeeded")
        page = engineer.get(f"/admin/devices/run/{run.pk}/change/").content.decode()
        assert "until 2026-01-02, user anna" in page
        assert "unknown, effect unknown: &lt;b&gt;lost" in page

    @pytest.mark.parametrize("trace", [[], [{}], [{"at_ms": None, "other": [1]}]])
    def test_of_any_age_is_shown(self, engineer, run, trace):
        Run.objects.update(trace=trace, result={}, parameters={}, finished_at=None)
        assert engineer.get(f"/admin/devices/run/{run.pk}/change/").status_code == 200

    def test_cannot_be_added_changed_or_deleted(self, engineer, run):
        before = list(Run.objects.values())
        for page in ("add/", f"{run.pk}/delete/", f"{run.pk}/change/"):
            answer = engineer.post(f"/admin/devices/run/{page}", {"state": "succeeded", "post": "yes"})
            assert answer.status_code == 403
        assert list(Run.objects.values()) == before
        assert 'name="_save"' not in engineer.get(f"/admin/devices/run/{run.pk}/change/").content.decode()


class TestList:
    def test_is_searched_and_filtered(self, engineer, run):
        link = f"/admin/devices/run/{run.pk}/change/"
        for found in ("", "?state__exact=timed_out", f"?plc__id__exact={run.plc_id}", "?q=mes-line-1", "?q=wanted"):
            assert link in engineer.get(f"/admin/devices/run/{found}").content.decode()
        for other in ("?state__exact=succeeded", "?q=oven"):
            assert link not in engineer.get(f"/admin/devices/run/{other}").content.decode()
