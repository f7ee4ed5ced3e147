"""A key is whole, and only its hash is stored."""

import pytest

from devices.models import APIKey
from devices.models.access import digest_of, key_id_of
from tests.models import rows

pytestmark = pytest.mark.django_db(transaction=True)


class TestKey:
    def test_is_stored_as_a_hash_only(self):
        row = APIKey(name="mes-line-1")
        key = row.issue()
        rows.stored(row)
        (stored,) = APIKey.objects.values()
        assert stored["digest"] == digest_of(key)
        assert stored["key_id"] == key_id_of(key)
        secret = key.split("_")[3]
        assert len(secret) == 64
        assert not any(secret in str(value) for value in stored.values())

    def test_is_another_each_time(self):
        row = APIKey(name="mes-line-1")
        assert row.issue() != row.issue()

    def test_mistyped_is_noticed_without_the_database(self):
        key = APIKey(name="mes-line-1").issue()
        wrong = key[:-1] + ("0" if key[-1] != "0" else "1")
        for text in (wrong, key.upper(), key[1:], "", "pgw_live_x_y_z", "a" * 500, key + "\n"):
            assert key_id_of(text) is None

    @pytest.mark.parametrize("name", ["", "a\0b", "mes\u202e"])
    def test_has_a_name_that_can_be_read_in_a_record(self, name):
        row = APIKey(name=name)
        row.issue()
        assert list(rows.faults_of(row)) == ["name"]
