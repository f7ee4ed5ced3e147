"""The audit is one chain: whoever changes a link is seen, and the database itself refuses him first."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction

from devices.control.actors import Actor
from devices.control.audit import Deed, append, digest_of
from devices.control.audit_chain import Broken, Mark, walk
from devices.models import Action, AuditEntry, audit_guard
from devices.models.audit import FIRST, Unchangeable
from tests.control.chain import sql, told

pytestmark = pytest.mark.django_db(transaction=True)

ANNA = Actor(name="user anna", source="10.0.0.7")
SAYS = ("at", "actor", "source", "action", "kind", "subject", "subject_id", "before", "after", "detail", "previous")


def add(*subjects: str) -> None:
    """One entry each."""
    for subject in subjects:
        deed = Deed(
            action=Action.CHANGED,
            kind="PLC",
            subject=subject,
            subject_id="1",
            before={"port": 502},
            after={"port": 503},
            detail="why",
            by=ANNA,
        )
        append(deed)


@pytest.fixture
def guarded() -> Iterator[None]:
    """The triggers, as migration 0006 makes them; the tests' own database is made without."""
    audit_guard.install(connection)
    yield
    audit_guard.remove(connection)


class TestAnEntry:
    def test_stands_on_the_one_before(self) -> None:
        add("press-1", "press-2", "press-3")
        entries = told()
        assert [entry.previous for entry in entries] == [FIRST, entries[0].digest, entries[1].digest]
        assert len({entry.digest for entry in entries}) == 3
        assert walk() == Mark(count=3, digest=entries[-1].digest)

    def test_is_gone_with_the_transaction_that_it_tells_about(self) -> None:
        add("press-1")
        with transaction.atomic():
            add("press-2")
            transaction.set_rollback(True)
        add("press-3")
        assert [entry.subject for entry in told()] == ["press-1", "press-3"]
        assert walk().count == 2

    def test_holds_whatever_somebody_typed_in_a_form_that_can_be_read(self) -> None:
        who = Actor(name="anna\x00\n\u202e" + "a" * 500, source="\ud800")
        append(Deed(action=Action.LOGIN_FAILED, subject="a\rb", after={"x": "\ud800\x00 é"}, by=who))
        (entry,) = told()
        assert entry.actor.startswith("anna\\u0000\\u000a\\u202eaaa")
        assert (len(entry.actor), entry.actor[-1]) == (200, "…")
        assert (entry.source, entry.subject, entry.after) == ("\\ud800", "a\\u000db", '{"x": "\\ud800\\u0000 é"}')
        assert walk().count == 1

    @pytest.mark.parametrize("how", ["save", "delete"])
    def test_refuses_to_be_changed_or_deleted_by_our_own_code(self, how: str) -> None:
        add("press-1")
        with pytest.raises(Unchangeable, match="neither changed nor removed"):
            getattr(told()[0], how)()
        with pytest.raises(Unchangeable):
            AuditEntry.objects.filter(actor="user anna").update(actor="user bob")
        with pytest.raises(Unchangeable):
            AuditEntry.objects.all().delete()
        assert walk().count == 1


class TestTwoAtOnce:
    def test_do_not_break_the_chain(self) -> None:
        start, errors = threading.Barrier(4), []

        def tell(name: str) -> None:
            try:
                start.wait(10)
                for number in range(25):
                    add(f"{name}-{number}")
            except Exception as error:
                errors.append(error)
            finally:
                connection.close()

        threads = [threading.Thread(target=tell, args=(f"t{n}",)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert errors == []
        assert walk().count == 100

    def test_wait_for_each_other_whole_transactions_long(self) -> None:
        """Else the second one would read a last entry that the first one is about to follow."""
        is_told, may_end = threading.Event(), threading.Event()

        def slowly() -> None:
            with transaction.atomic():
                add("slow")
                is_told.set()
                may_end.wait(10)
            connection.close()

        def quickly() -> None:
            add("quick")
            connection.close()

        slow, quick = threading.Thread(target=slowly), threading.Thread(target=quickly)
        slow.start()
        assert is_told.wait(10)
        quick.start()
        quick.join(0.3)
        assert quick.is_alive()
        may_end.set()
        slow.join(10), quick.join(30)
        assert [entry.subject for entry in told()] == ["slow", "quick"]
        assert walk().count == 2


class TestTampering:
    @pytest.fixture(autouse=True)
    def _five(self) -> None:
        add("one", "two", "three", "four", "five")

    @pytest.mark.parametrize("field", SAYS)
    def test_with_any_field_is_seen(self, field: str) -> None:
        third = told()[2]
        value: Any = "2001-01-01 00:00:00+00:00" if field == "at" else "forged"
        sql(f"UPDATE devices_auditentry SET {field} = %s WHERE id = %s", value, third.pk)
        with pytest.raises(Broken, match=f"entry {third.pk} "):
            walk()

    def test_by_a_microsecond_is_seen(self) -> None:
        third = told()[2]
        moved = third.at.replace(microsecond=(third.at.microsecond + 1) % 1_000_000)
        sql("UPDATE devices_auditentry SET at = %s WHERE id = %s", moved, third.pk)
        with pytest.raises(Broken, match=f"entry {third.pk} was changed"):
            walk()

    def test_with_a_digest_that_fits_again_breaks_the_next_one(self) -> None:
        third, fourth = told()[2:4]
        third.actor = "user bob"
        sql("UPDATE devices_auditentry SET actor = 'user bob', digest = %s WHERE id = %s", digest_of(third), third.pk)
        with pytest.raises(Broken, match=f"entry {fourth.pk} does not follow entry {third.pk}"):
            walk()

    @pytest.mark.parametrize(("gone", "told_at"), [(0, 1), (2, 3)], ids=["the first", "one in the middle"])
    def test_by_taking_one_out_is_seen(self, gone: int, told_at: int) -> None:
        entries = told()
        sql("DELETE FROM devices_auditentry WHERE id = %s", entries[gone].pk)
        with pytest.raises(Broken, match=f"entry {entries[told_at].pk} does not follow"):
            walk()

    def test_by_another_order_is_seen(self) -> None:
        second, third = told()[1:3]
        for old, new in ((second.pk, -1), (third.pk, second.pk), (-1, third.pk)):
            sql("UPDATE devices_auditentry SET id = %s WHERE id = %s", new, old)
        with pytest.raises(Broken, match=f"entry {second.pk} does not follow"):
            walk()

    def test_by_putting_one_in_is_seen(self) -> None:
        third = told()[2]
        sql("UPDATE devices_auditentry SET id = id + 1000 WHERE id > %s", third.pk)
        forged = AuditEntry(pk=third.pk + 1, at=third.at, actor="user anna", action="changed", previous=third.digest)
        forged.digest = digest_of(forged)
        forged.save()
        with pytest.raises(Broken, match=f"does not follow entry {forged.pk}"):
            walk()

    def test_at_the_end_is_seen_by_what_was_noted(self) -> None:
        mark, last = walk(), told()[-1]
        sql("DELETE FROM devices_auditentry WHERE id = %s", last.pk)
        assert walk().count == 4
        with pytest.raises(Broken, match="ends after 4 entries, and had 5"):
            walk(mark)

    def test_by_writing_the_whole_chain_anew_is_seen_by_what_was_noted(self) -> None:
        mark = walk()
        sql("DELETE FROM devices_auditentry")
        add("six", "seven", "eight", "nine", "ten", "eleven")
        assert walk().count == 6
        with pytest.raises(Broken, match="number 5 has another digest than was noted"):
            walk(mark)

    def test_did_not_happen_where_the_chain_only_grew(self) -> None:
        mark = walk()
        add("six")
        assert walk(mark).count == 6
        assert walk(Mark(count=0, digest=FIRST)).count == 6


class TestTheDatabase:
    REFUSED = (
        "UPDATE devices_auditentry SET actor = 'user bob'",
        "DELETE FROM devices_auditentry",
        "DELETE FROM devices_auditentry WHERE actor = 'user anna'",
        *(
            ["INSERT OR REPLACE INTO devices_auditentry SELECT * FROM devices_auditentry"]
            if connection.vendor == "sqlite"
            else [
                "TRUNCATE devices_auditentry",
                "INSERT INTO devices_auditentry SELECT * FROM devices_auditentry"
                " ON CONFLICT (id) DO UPDATE SET actor = 'user bob'",
                "SET LOCAL session_replication_role = replica; DELETE FROM devices_auditentry",
            ]
        ),
    )

    @pytest.mark.parametrize("statement", REFUSED)
    def test_refuses(self, guarded: None, statement: str) -> None:
        add("press-1", "press-2")
        before = list(AuditEntry.objects.values())
        with pytest.raises(IntegrityError, match=audit_guard.REFUSAL), transaction.atomic():
            sql(statement)
        assert list(AuditEntry.objects.values()) == before
        add("press-3")
        assert walk().count == 3

    def test_is_known_to_refuse_or_not(self) -> None:
        assert not audit_guard.is_installed(connection)
        audit_guard.install(connection)
        assert audit_guard.is_installed(connection)
        audit_guard.remove(connection)
        assert not audit_guard.is_installed(connection)
