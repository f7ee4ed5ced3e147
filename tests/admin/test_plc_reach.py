"""An engineer types where a PLC is; the page says what the gateway will not connect to."""

import socket
import threading

import pytest
from django.conf import settings
from django.db import connection, transaction

from devices.control import reach
from devices.models import PLC, Profile
from tests.admin import pages
from tests.models import rows

ADD = "plc/add/"


@pytest.fixture
def fields(engineer, profile):
    return pages.fields_of(engineer, ADD) | {"name": "press-1", "profile": profile.pk, "host": "192.168.0.10"}


@pytest.fixture
def name_server(monkeypatch):
    """What it says of any name."""
    found: list[str] = []

    def getaddrinfo(*_, **__):
        if not found:
            raise socket.gaierror(socket.EAI_NONAME, "unknown")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 0)) for address in found]

    monkeypatch.setattr("devices.modbus.names.socket.getaddrinfo", getaddrinfo)
    return found


class TestAHost:
    @pytest.mark.parametrize(
        ("host", "words"),
        [
            ("10.0.0.7", "is not within the networks that the setting PLC_NETWORKS allows (127.0.0.0/8, "),
            ("::ffff:10.0.0.7", "(which is 10.0.0.7) is not within"),
            ("8.8.8.8", "whoever runs the gateway can add it there"),
            ("169.254.169.254", "is a cloud's metadata service"),
            ("fe80::1", "is link-local"),
            ("255.255.255.255", "is the broadcast address"),
            ("0.0.0.1", "is the unspecified address"),
        ],
    )
    def test_where_no_plc_may_be_is_refused_with_the_reason(self, engineer, fields, host, words):
        (complaint,) = pages.send(engineer, ADD, fields | {"host": host})
        assert complaint.startswith(f"host: {host} ")
        assert words in complaint
        assert not PLC.objects.exists()

    def test_by_a_name_of_which_one_address_is_forbidden_is_refused_and_names_it(self, engineer, fields, name_server):
        name_server += ["192.168.0.10", "10.0.0.7"]
        (complaint,) = pages.send(engineer, ADD, fields | {"host": "press-1.plant"})
        assert complaint.startswith("host: press-1.plant: 10.0.0.7 is not within")

    def test_by_a_name_whose_addresses_are_all_allowed_is_stored(self, engineer, fields, name_server):
        name_server += ["192.168.0.10", "192.168.0.11"]
        assert pages.send(engineer, ADD, fields | {"host": "press-1.plant"}) == []

    def test_by_a_name_that_nobody_knows_yet_is_stored(self, engineer, fields, name_server):
        assert pages.send(engineer, ADD, fields | {"host": "press-1.plant"}) == []
        assert PLC.objects.get().host == "press-1.plant"

    def test_where_redis_listens_is_refused_at_that_port_only(self, engineer, fields, monkeypatch):
        monkeypatch.setattr(settings, "REDIS_URL", "redis://127.0.0.1:7777/0")
        typed = fields | {"host": "127.0.0.1", "port": 7777}
        assert pages.send(engineer, ADD, typed) == ["host: Redis listens at 127.0.0.1, port 7777: no PLC is there."]
        assert pages.send(engineer, ADD, typed | {"port": 7778}) == []

    def test_where_the_gateway_listens_is_refused(self, engineer, fields, monkeypatch):
        monkeypatch.setattr(reach, "_listening", set())
        reach.note_listening("0.0.0.0", 8765)
        typed = fields | {"host": "localhost", "port": 8765}
        (complaint,) = pages.send(engineer, ADD, typed)
        assert "the gateway itself listens at" in complaint


class TestAPLCThatIsOutsideSinceTheSettingChanged:
    @pytest.fixture
    def page(self, engineer, profile):
        return f"plc/{rows.stored(rows.plc(profile, host='10.0.0.7')).pk}/change/"

    def test_can_be_disabled_and_renamed(self, engineer, page):
        fields = pages.fields_of(engineer, page) | {"title": "Press 1"}
        del fields["is_enabled"]
        assert pages.send(engineer, page, fields) == []
        assert not PLC.objects.get().is_enabled

    def test_can_not_be_enabled_nor_moved_to_another_port(self, engineer, page):
        (complaint,) = pages.send(engineer, page, pages.fields_of(engineer, page) | {"port": 503})
        assert "PLC_NETWORKS" in complaint
        PLC.objects.update(is_enabled=False)
        (complaint,) = pages.send(engineer, page, pages.fields_of(engineer, page) | {"is_enabled": "on"})
        assert "PLC_NETWORKS" in complaint


class TestANameServerThatHangs:
    def test_keeps_nobody_from_the_database(self, engineer, fields, monkeypatch):
        """On SQLite the save is the one transaction that may write: a command's first entry would wait for it."""
        is_asked, may_answer = threading.Event(), threading.Event()

        def getaddrinfo(*_, **__):
            is_asked.set()
            may_answer.wait(60)
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.168.0.10", 0))]

        monkeypatch.setattr("devices.modbus.names.socket.getaddrinfo", getaddrinfo)
        monkeypatch.setattr(reach, "LOOK_S", 60.0)  # longer than the database waits for its turn
        complaints = []

        def save():
            try:
                complaints.append(pages.send(engineer, ADD, fields | {"host": "press-1.plant"}))
            finally:
                connection.close()

        saving = threading.Thread(target=save)
        saving.start()
        try:
            assert is_asked.wait(30)
            with transaction.atomic():
                Profile.objects.update(description="written meanwhile")
            assert saving.is_alive()
            assert not PLC.objects.exists()
        finally:
            may_answer.set()
            saving.join(30)
        assert complaints == [[]]
        assert PLC.objects.get().host == "press-1.plant"

    def test_is_asked_once_a_save(self, engineer, fields, monkeypatch):
        asked = []

        def getaddrinfo(host, *_, **__):
            asked.append(host)
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.168.0.10", 0))]

        monkeypatch.setattr("devices.modbus.names.socket.getaddrinfo", getaddrinfo)
        assert pages.send(engineer, ADD, fields | {"host": "press-1.plant"}) == []
        address = f"plc/{PLC.objects.get().pk}/change/"
        typed = pages.fields_of(engineer, address)
        assert pages.send(engineer, address, typed | {"title": "Press 1"}) == []
        assert asked == ["press-1.plant"]
        assert pages.send(engineer, address, typed | {"port": 503}) == []
        copied = engineer.post(f"{pages.ADMIN}{address}", {**typed, "name": "press-2", "_saveasnew": "Save as new"})
        assert copied.status_code == 302
        assert asked == ["press-1.plant"] * 3
