"""What sessions of PostgreSQL are told, as the settings of a real gateway and as the server itself has it."""

from ast import literal_eval
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from tests.control.databases import IS_SQLITE
from tests.management.own_site import Site

OURS = "-c lock_timeout=20s -c idle_in_transaction_session_timeout=10s "


def database(folder: Path, query: str = "") -> Any:
    """The database of a gateway with this URL; nothing connects to it."""
    site = Site(folder, {"DATABASE_URL": f"postgres://gw@db.example/gw{query}"})
    return literal_eval(site.printed("from django.conf import settings; print(settings.DATABASES['default'])"))


class TestTheSettings:
    def test_notice_a_server_that_is_gone_and_end_a_session_that_stands_still(self, tmp_path: Path) -> None:
        at = database(tmp_path)
        assert at["OPTIONS"]["options"].startswith(OURS)
        assert {"connect_timeout", "tcp_user_timeout", "keepalives_idle"} < at["OPTIONS"].keys()
        assert at["OPTIONS"]["pool"]["timeout"] < 10, "a call is answered 503 long before its caller gives up"
        assert at["CONN_HEALTH_CHECKS"]

    def test_leave_the_last_word_to_the_url(self, tmp_path: Path) -> None:
        query = "?sslmode=verify-full&connect_timeout=2&options=-c%20lock_timeout%3D3s"
        options = database(tmp_path, query)["OPTIONS"]
        assert (options["sslmode"], options["connect_timeout"]) == ("verify-full", 2)
        assert options["options"].startswith(OURS)
        assert options["options"].endswith(" -c lock_timeout=3s")


if not IS_SQLITE:

    @pytest.mark.django_db
    class TestASession:
        @pytest.mark.parametrize(
            ("name", "says"),
            [
                ("lock_timeout", "20s"),
                ("idle_in_transaction_session_timeout", "10s"),
                ("tcp_keepalives_idle", "5"),
                ("tcp_keepalives_interval", "2"),
                ("tcp_keepalives_count", "3"),
            ],
        )
        def test_has_each_limit_at_the_server(self, name: str, says: str) -> None:
            with connection.cursor() as cursor:
                cursor.execute("SELECT current_setting(%s)", [name])
                assert cursor.fetchone() == (says,)
