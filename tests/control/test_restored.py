"""After a restore nobody tells a machine anything until a person has looked at it."""

from datetime import timedelta

import pytest
from django.contrib.sessions.models import Session
from django.utils import timezone

from devices.control.lock_outs import open_ones
from devices.control.restored import BY, LONGEST, REASON, Held, hold
from devices.models import PLC, AuditEntry, LockOut
from tests.control import rows

pytestmark = pytest.mark.django_db(transaction=True)

NOW = timezone.now()


@pytest.fixture
def presses(transactional_db: None) -> list[PLC]:
    """Three of a kind."""
    first = rows.make_plc(rows.make_profile())
    more = [PLC(profile=first.profile, name=f"press-{n}", title=f"Press {n}", host="192.168.0.9") for n in (2, 3)]
    for press in more:
        press.save()
    return [first, *more]


def locked(press: PLC, **more: object) -> LockOut:
    row = LockOut(plc=press, **{"by": "user eva", "reason": "I replace the belt"} | more)
    row.save()
    return row


class TestHold:
    def test_locks_every_plc_out_until_somebody_unlocks_it(self, presses: list[PLC]):
        PLC.objects.filter(name="press-3").update(is_enabled=False)
        assert hold() == Held(plcs=3, sessions=0)
        found = open_ones()
        assert set(found) == {press.pk for press in presses}
        assert {(spec.by, spec.reason, spec.until) for spec in found.values()} == {(BY, REASON, None)}

    def test_keeps_in_words_who_had_locked_one_out(self, presses: list[PLC]):
        """His lock-out had an end; this one has none."""
        before = locked(presses[0], until=NOW + timedelta(hours=1))
        locked(presses[1], reason="x" * LONGEST)
        hold()
        found = open_ones()
        assert found[presses[0].pk].reason == f"{REASON} It was locked out then by user eva: I replace the belt"
        assert found[presses[0].pk].until is None
        assert len(found[presses[1].pk].reason) == LONGEST
        before.refresh_from_db()
        assert before.lifted_by == BY

    def test_does_not_keep_what_was_over(self, presses: list[PLC]):
        locked(presses[0], until=NOW - timedelta(hours=1))
        locked(presses[1], lifted_at=NOW, lifted_by="user eva")
        hold()
        assert {spec.reason for spec in open_ones().values()} == {REASON}

    def test_says_the_same_the_second_time(self, presses: list[PLC]):
        hold()
        hold()
        assert {spec.reason for spec in open_ones().values()} == {REASON}
        assert LockOut.objects.filter(lifted_at=None).count() == 3

    def test_ends_all_sessions(self, presses: list[PLC]):
        Session.objects.create(session_key="a" * 32, session_data="", expire_date=NOW + timedelta(hours=8))
        assert hold().sessions == 1
        assert not Session.objects.exists()

    def test_is_told_in_the_audit(self, presses: list[PLC]):
        count = AuditEntry.objects.count()
        hold()
        told = list(AuditEntry.objects.order_by("id")[count:])
        assert [(entry.action, entry.kind) for entry in told] == [("added", "Lock-out")] * 3
