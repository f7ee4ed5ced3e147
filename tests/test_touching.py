"""CI's second run leaves out only what can touch neither the database nor Redis."""

import pytest

from tests.doubles.fault_server import FaultServer
from tests.touching import can_touch, reaches_services


class TestWhatCanTouchTheServices:
    def test_is_what_asks_for_the_database(self, transactional_db: None, request: pytest.FixtureRequest) -> None:
        assert can_touch(request.node)

    @pytest.mark.django_db
    def test_is_what_is_marked_so(self, request: pytest.FixtureRequest) -> None:
        assert can_touch(request.node)

    def test_is_what_uses_a_fixture_that_is_written_where_django_is_imported(
        self, plc: FaultServer, request: pytest.FixtureRequest
    ) -> None:
        assert can_touch(request.node)

    def test_is_what_starts_the_product_as_a_process(self) -> None:
        assert reaches_services("tests.serving.test_hang_ups")

    def test_is_not_a_test_that_imports_and_asks_for_neither(self, request: pytest.FixtureRequest) -> None:
        assert not can_touch(request.node)
