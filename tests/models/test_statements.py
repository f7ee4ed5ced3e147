"""What is written in plain SQL reads back as the ORM would have written it."""

import pytest
from django.utils import timezone

from devices.models import PLC, Effect, Run, State
from devices.models.statements import MOST_PARAMETERS, Statements
from tests.control.rows import make_profile

pytestmark = pytest.mark.django_db(transaction=True)

RUNS = Statements(Run)
TEXT = "50 % of “ü”; DROP TABLE"


@pytest.fixture
def plc() -> PLC:
    return PLC.objects.create(name="press-1", profile=make_profile(), host="127.0.0.1")


def row_of(plc: PLC, **more: object) -> dict[str, object]:
    """What a new run is stored with at least."""
    given = {"plc_id": plc.pk, "plc_name": plc.name, "command": "start_batch", "caller": "key mes"}
    return {**given, "accepted_at": timezone.now(), **more}


def columns_of(run: Run) -> dict[str, object]:
    """All but the key."""
    return {field.attname: getattr(run, field.attname) for field in Run._meta.concrete_fields if not field.primary_key}


class TestARowThatIsInserted:
    def test_is_as_the_orm_would_have_written_it(self, plc: PLC) -> None:
        full = {"parameters": {"text": TEXT, "n": 1.5}, "trace": [{"at_ms": 1}], "detail": TEXT, "source": "::1"}
        for given in (row_of(plc), row_of(plc, **full), row_of(plc, state=State.SUCCEEDED, effect=Effect.APPLIED)):
            ((key, row),) = RUNS.insert([given])
            expected = Run.objects.create(**given)
            expected.refresh_from_db()
            assert columns_of(Run.objects.get(pk=key)) == columns_of(expected) == row

    def test_has_its_own_key_however_many_come_together(self, plc: PLC) -> None:
        count = MOST_PARAMETERS  # more than one statement holds
        keys = RUNS.insert([row_of(plc, command=f"c{n}") for n in range(count)])
        assert {run.pk: run.command for run in Run.objects.all()} == {key: f"c{n}" for n, (key, _) in enumerate(keys)}

    def test_has_no_column_that_the_model_lacks(self, plc: PLC) -> None:
        with pytest.raises(TypeError, match="no column for colour"):
            RUNS.insert([row_of(plc, colour="red")])
        assert not Run.objects.exists()


class TestARowThatIsUpdated:
    def test_is_changed_where_it_is_as_was_said_and_no_other_is(self, plc: PLC) -> None:
        (key, _), (other, _) = RUNS.insert([row_of(plc), row_of(plc)])
        now = timezone.now()
        changes = {"state": State.SUCCEEDED, "finished_at": now, "result": {"a": TEXT}, "sequence": None}
        assert RUNS.update(key, changes, where={"state": State.QUEUED, "version": 1})
        run = Run.objects.get(pk=key)
        assert (run.state, run.finished_at, run.result, run.sequence) == ("succeeded", now, {"a": TEXT}, None)
        assert Run.objects.get(pk=other).state == "queued"

    def test_stays_where_it_is_not_as_was_said(self, plc: PLC) -> None:
        ((key, _),) = RUNS.insert([row_of(plc)])
        assert not RUNS.update(key, {"detail": "x"}, where={"state": State.RUNNING, "version": 1})
        assert not RUNS.update(key, {"detail": "x"}, where={"state": State.QUEUED, "version": 2})
        assert not Run.objects.get(pk=key).detail
