"""An engineer registers a PLC that speaks Modbus/TCP Security; what is wrong with the files is told on the page."""

import os

import pytest

from devices.control import reach
from devices.models import PLC
from tests.admin import pages
from tests.doubles.certificates import Plant

ADD = "plc/add/"


@pytest.fixture(scope="module")
def plant():
    return Plant()


@pytest.fixture
def folder(settings, tmp_path, plant):
    settings.TLS_DIR = tmp_path
    return plant.fill(tmp_path / "hall-a", ours=plant.gateway())


@pytest.fixture
def fields(engineer, profile, folder):
    usual = {"name": "press-1", "profile": profile.pk, "host": "192.168.0.10", "port": 802}
    return pages.fields_of(engineer, ADD) | usual | {"uses_tls": "on", "tls_identity": "hall-a"}


class TestASecurePLC:
    def test_is_stored(self, engineer, fields):
        assert pages.send(engineer, ADD, fields | {"tls_server_name": "press-1.plant"}) == []
        plc = PLC.objects.get()
        assert (plc.uses_tls, plc.tls_identity, plc.tls_server_name) == (True, "hall-a", "press-1.plant")

    @pytest.mark.parametrize("name", ["../hall-a", "/etc", "Hall A", ".."])
    def test_names_a_folder_and_no_way_to_another(self, engineer, fields, name):
        (complaint,) = pages.send(engineer, ADD, fields | {"tls_identity": name})
        assert complaint.startswith("tls_identity: Use lower-case letters")

    def test_without_an_identity_is_refused(self, engineer, fields):
        (complaint,) = pages.send(engineer, ADD, fields | {"tls_identity": ""})
        assert complaint.startswith("tls_identity: Name the folder with the certificates")

    def test_of_an_identity_that_is_not_there_is_refused(self, engineer, fields, folder):
        (complaint,) = pages.send(engineer, ADD, fields | {"tls_identity": "hall-b"})
        assert complaint.startswith(f"tls_identity: TLS: {folder.parent / 'hall-b' / 'ca.pem'} is missing")

    def test_whose_key_others_may_read_is_refused(self, engineer, fields, folder):
        (folder / "client.key").chmod(0o644)
        (complaint,) = pages.send(engineer, ADD, fields)
        assert "give it mode 600" in complaint

    def test_can_be_disabled_whatever_became_of_its_files(self, engineer, fields, folder):
        assert pages.send(engineer, ADD, fields) == []
        (folder / "ca.pem").unlink()
        page = f"plc/{PLC.objects.get().pk}/change/"
        changed = pages.fields_of(engineer, page)
        del changed["is_enabled"]
        assert pages.send(engineer, page, changed) == []
        assert not PLC.objects.get().is_enabled


class TestAPlainPLC:
    def test_needs_no_certificates(self, engineer, fields):
        del fields["uses_tls"]
        assert pages.send(engineer, ADD, fields | {"tls_identity": ""}) == []


class TestAFolderThatHangs:
    def test_is_waited_for_a_while_and_told(self, engineer, fields, folder, monkeypatch):
        monkeypatch.setattr(reach, "LOOK_S", 0.3)
        (folder / "ca.pem").unlink()
        os.mkfifo(folder / "ca.pem")  # who opens it waits until somebody writes
        try:
            (complaint,) = pages.send(engineer, ADD, fields)
        finally:
            os.close(os.open(folder / "ca.pem", os.O_RDWR | os.O_NONBLOCK))
        assert complaint == f"tls_identity: TLS: {folder} could not be read within 0.3 s."
        assert not PLC.objects.exists()
