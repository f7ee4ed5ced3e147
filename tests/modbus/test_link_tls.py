"""Modbus/TCP Security, over real TLS: who is believed, who is not, and what is said then."""

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from devices.modbus.errors import LinkUnavailable, TLSRefused, Unconfirmed, WrongAnswer
from devices.modbus.link import GOODBYE_S, Link
from devices.modbus.networks import Networks, parse
from devices.modbus.tls import Identity
from devices.modbus.types import Endpoint
from tests.doubles import faults
from tests.doubles.certificates import Plant
from tests.doubles.fault_server import FaultServer
from tests.doubles.leaks import nothing_left, settle
from tests.modbus.links import COIL, HOLDING

V12, V13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
HOST = "127.0.0.1"
both_versions = pytest.mark.parametrize("latest", [V12, V13], ids=["1.2", "1.3"])


@pytest.fixture(scope="module")
def plant() -> Plant:
    return Plant()


@pytest.fixture
def folder(plant: Plant, tmp_path: Path) -> Path:
    """The gateway believes the plant's authority, and shows nothing of its own."""
    return plant.fill(tmp_path / "plant")


@pytest.fixture
async def plc(plant: Plant) -> AsyncIterator[FaultServer]:
    """A PLC that speaks TLS and nothing else. At the end nothing is left, and it serves plain callers."""
    async with FaultServer() as server, nothing_left(server):
        server.security = plant.serving()
        yield server
        server.security = None


def endpoint(plc: FaultServer, folder: Path, *, host: str = HOST, name: str = HOST, **limits: Any) -> Endpoint:
    usual = {"connect_timeout_s": 2.0, "response_timeout_s": 1.0} | limits
    return Endpoint(host=host, port=plc.port, tls=Identity(folder=folder, server_name=name), **usual)


async def refusal(plc: FaultServer, folder: Path, **changes: Any) -> str:
    """What is said when it is connected to and then read, of which one must be refused."""
    link = Link(endpoint(plc, folder, **changes))
    with pytest.raises(TLSRefused) as refused:
        async with link:
            await link.read(HOLDING, 0, 1)
    assert not link.is_usable
    assert plc.requests == [], "nothing was to be sent"
    return str(refused.value)


class TestAPLCThatShowsTheRightCertificate:
    @both_versions
    async def test_is_read_and_written(self, plant, plc, folder, latest):
        plc.security = plant.serving(latest=latest)
        async with Link(endpoint(plc, folder)) as link:
            await link.write(COIL, 3, (1,))
            await link.write(HOLDING, 5, (7, 8, 9))
            assert await link.read(HOLDING, 4, 4) == (0, 7, 8, 9)
        assert plc.coils[3] == 1
        assert plc.connects == 1

    async def test_is_checked_by_its_name_and_called_at_its_address(self, plant, plc, folder):
        plc.security = plant.serving(plant.plc("press-1.plant"))
        async with Link(endpoint(plc, folder, name="press-1.plant")) as link:
            assert await link.read(HOLDING, 0, 1) == (0,)

    async def test_is_found_by_a_host_name(self, plant, plc, folder):
        plc.security = plant.serving(plant.plc("localhost"))
        async with Link(endpoint(plc, folder, host="localhost", name="localhost")) as link:
            assert await link.read(HOLDING, 0, 1) == (0,)

    async def test_may_answer_in_many_records(self, plc, folder):
        """pymodbus's own TLS framer takes a record for a whole answer."""
        plc.holding_registers[:3] = [1, 2, 3]
        async with Link(endpoint(plc, folder)) as link:
            plc.next(faults.trickle(0.002))
            assert await link.read(HOLDING, 0, 3) == (1, 2, 3)
            assert await link.read(HOLDING, 1, 1) == (2,)

    async def test_has_its_frames_told_as_plain_modbus(self, plc, folder):
        told: list[tuple[bool, bytes]] = []
        async with Link(endpoint(plc, folder)) as link:
            link.on_frame = lambda is_sent, raw: told.append((is_sent, raw))
            await link.read(HOLDING, 0, 1)
        assert told == [
            (True, bytes.fromhex("0001 0000 0006 01 03 0000 0001")),
            (False, bytes.fromhex("0001 0000 0005 01 03 02 0000")),
        ]

    async def test_is_not_connected_to_where_no_plc_may_be(self, plc, folder):
        away = Networks(allowed=parse(["10.0.0.0/8"]))
        with pytest.raises(LinkUnavailable, match="PLC_NETWORKS"):
            await Link(endpoint(plc, folder, networks=away)).open()
        assert plc.connects == 0


class TestAPLCThatIsNotBelieved:
    @both_versions
    async def test_for_its_signer(self, plant, plc, folder, latest):
        plc.security = plant.serving(plant.plc(by=plant.stranger), latest=latest)
        assert f"was not signed by {folder / 'ca.pem'}" in await refusal(plc, folder)

    @both_versions
    async def test_for_its_age(self, plant, plc, folder, latest):
        plc.security = plant.serving(plant.plc(valid_days=(-30, -1)), latest=latest)
        assert "has expired" in await refusal(plc, folder)

    async def test_before_its_time(self, plant, plc, folder):
        plc.security = plant.serving(plant.plc(valid_days=(1, 30)))
        assert "is not valid yet" in await refusal(plc, folder)

    @pytest.mark.parametrize("name", ["press-2.plant", "127.0.0.2", "plant", "press-1.plant.evil"])
    async def test_for_its_name(self, plant, plc, folder, name):
        plc.security = plant.serving(plant.plc("press-1.plant", "127.0.0.1"))
        assert f"made for another name than {name}" in await refusal(plc, folder, name=name)

    async def test_though_this_computer_believes_its_signer(self, plant, plc, folder, monkeypatch, tmp_path):
        """The plant's own authority is the only one that counts."""
        plant.stranger.cert_pem.write_to_path(tmp_path / "system.pem")
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "system.pem"))
        plc.security = plant.serving(plant.plc(by=plant.stranger))
        assert "was not signed by" in await refusal(plc, folder)


class TestAPLCThatWantsOurCertificate:
    @both_versions
    async def test_lets_the_right_one_in(self, plant, plc, folder, latest):
        plc.security = plant.serving(wants_ours=True, latest=latest)
        plant.fill(folder, ours=plant.gateway())
        async with Link(endpoint(plc, folder)) as link:
            assert await link.read(HOLDING, 0, 1) == (0,)

    @both_versions
    async def test_refuses_who_shows_none(self, plant, plc, folder, latest):
        plc.security = plant.serving(wants_ours=True, latest=latest)
        told = await refusal(plc, folder)
        assert "want" in told
        assert "a certificate of the gateway" in told
        assert "client.pem" in told

    @both_versions
    async def test_refuses_one_of_another_signer(self, plant, plc, folder, latest):
        plc.security = plant.serving(wants_ours=True, latest=latest)
        plant.fill(folder, ours=plant.gateway(by=plant.stranger))
        assert "does not know who signed the gateway's certificate" in await refusal(plc, folder)

    @both_versions
    async def test_refuses_one_that_has_expired(self, plant, plc, folder, latest):
        plc.security = plant.serving(wants_ours=True, latest=latest)
        plant.fill(folder, ours=plant.gateway(valid_days=(-30, -1)))
        assert "the gateway's certificate has expired" in await refusal(plc, folder)

    async def test_says_so_also_where_its_refusal_comes_before_our_first_request(self, plant, plc, folder):
        plc.security = plant.serving(wants_ours=True, latest=V13)
        assert "wants a certificate of the gateway" in await refusal(plc, folder, pause_after_connect_s=0.2)


class TestAPLCThatSpeaksNoTLS:
    async def test_is_told_and_plain_modbus_is_never_tried(self, plc, folder):
        plc.security = None
        told = await refusal(plc, folder)
        assert "may not speak TLS at this port" in told
        assert plc.connects == 1

    async def test_but_answers_something_is_told(self, folder):
        async def chatter(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(7)
            writer.write(bytes.fromhex("0001 0000 0003 01 83 02"))
            await writer.drain()
            writer.close()

        server = await asyncio.start_server(chatter, HOST, 0)
        async with server:
            at = Endpoint(
                host=HOST,
                port=server.sockets[0].getsockname()[1],
                tls=Identity(folder=folder, server_name=HOST),
            )
            with pytest.raises(TLSRefused, match="does not speak TLS at this port"):
                await Link(at).open()

    async def test_and_says_nothing_is_given_up_within_the_limit(self, plc, folder):
        plc.serves = 0  # the kernel accepts for it
        started = monotonic()
        told = await refusal(plc, folder, connect_timeout_s=0.3)
        assert "accepted the connection and did not finish the handshake within 0.3 s" in told
        assert monotonic() - started < 0.6
        plc.serves = None

    @pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated")
    async def test_that_is_safe_is_told(self, plant, plc, folder):
        plc.security = plant.serving()
        plc.security.minimum_version = plc.security.maximum_version = ssl.TLSVersion.TLSv1_1
        plc.security.set_ciphers("ALL:@SECLEVEL=0")
        assert "speaks no version from TLS 1.2 on" in await refusal(plc, folder)

    async def test_is_called_plainly_where_nobody_said_that_it_does(self, plc):
        """And the other way round: a PLC that speaks TLS only does not answer plain Modbus."""
        async with Link(Endpoint(host=HOST, port=plc.port)) as link:
            with pytest.raises((Unconfirmed, WrongAnswer, LinkUnavailable)):
                await link.read(HOLDING, 0, 1)
        assert plc.requests == []


class TestClosing:
    async def test_frees_the_plc_at_once(self, plc, folder):
        link = Link(endpoint(plc, folder))
        await link.open()
        await link.read(HOLDING, 0, 1)
        started = monotonic()
        await link.close()
        assert monotonic() - started < GOODBYE_S
        assert await settle(lambda: plc.open_connections == 0)

    async def test_towards_a_mute_plc_takes_no_longer_than_a_goodbye(self, plc, folder):
        """asyncio would wait 30 s for its answer."""
        async with Link(endpoint(plc, folder, response_timeout_s=0.1)) as link:
            await link.read(HOLDING, 0, 1)
            plc.misbehave(faults.slow(1.0))
            reading = asyncio.create_task(link.read(HOLDING, 0, 1))
            await asyncio.sleep(0.02)
            started = monotonic()
            await link.close()
            assert monotonic() - started < 2 * GOODBYE_S
            with pytest.raises(Unconfirmed):
                await reading

    async def test_amid_the_handshake_leaves_nothing(self, plc, folder):
        plc.serves = 0
        link = Link(endpoint(plc, folder, connect_timeout_s=5))
        opening = asyncio.create_task(link.open())
        await asyncio.sleep(0.05)
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening
        plc.serves = None


class TestATLSConnectionThatBreaks:
    @pytest.mark.parametrize("fault", [faults.hang_up_after, faults.reset_after])
    async def test_amid_an_exchange_is_noticed_at_once_and_left_in_doubt(self, plc, folder, fault):
        async with Link(endpoint(plc, folder, response_timeout_s=5)) as link:
            await link.read(HOLDING, 0, 1)
            plc.next(fault)
            started = monotonic()
            with pytest.raises(Unconfirmed):
                await link.write(HOLDING, 0, (1,))
            assert monotonic() - started < 0.5

    async def test_by_silence_is_left_in_doubt(self, plc, folder):
        async with Link(endpoint(plc, folder, response_timeout_s=0.2)) as link:
            plc.next(faults.mute)
            with pytest.raises(Unconfirmed, match="no answer within"):
                await link.read(HOLDING, 0, 1)

    async def test_by_a_flood_is_left_in_doubt(self, plc, folder):
        async with Link(endpoint(plc, folder)) as link:
            plc.next(faults.flood())
            with pytest.raises(WrongAnswer):
                await link.read(HOLDING, 0, 1)


class TestTheFilesOfAnIdentity:
    async def told(self, plc: FaultServer, folder: Path) -> str:
        told = await refusal(plc, folder)
        assert plc.connects == 0, "our own mistake is no reason to trouble the PLC"
        return told

    async def test_must_be_there(self, plc, tmp_path):
        assert f"{tmp_path / 'none' / 'ca.pem'} is missing" in await self.told(plc, tmp_path / "none")

    async def test_must_be_certificates(self, plc, folder):
        (folder / "ca.pem").write_text("nonsense")
        assert "holds no certificate in PEM format" in await self.told(plc, folder)

    @pytest.mark.parametrize(("there", "missing"), [("client.pem", "client.key"), ("client.key", "client.pem")])
    async def test_of_ours_come_both_or_not_at_all(self, plant, plc, folder, there, missing):
        plant.fill(folder, ours=plant.gateway())
        (folder / missing).unlink()
        assert f"has {there} and no {missing}: both, or neither" in await self.told(plc, folder)

    @pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o610])
    async def test_keep_the_key_from_others(self, plant, plc, folder, mode):
        plant.fill(folder, ours=plant.gateway())
        (folder / "client.key").chmod(mode)
        assert "give it mode 600" in await self.told(plc, folder)

    async def test_belong_together(self, plant, plc, folder):
        plant.fill(folder, ours=plant.gateway())
        plant.gateway().private_key_pem.write_to_path(folder / "client.key")
        assert "client.key is not the key of client.pem" in await self.told(plc, folder)

    async def test_hold_no_key_that_asks_for_a_passphrase(self, plant, plc, folder):
        plant.fill(folder, ours=plant.gateway())
        (folder / "client.key").write_bytes(encrypted((folder / "client.key").read_bytes()))
        assert "is encrypted" in await self.told(plc, folder)

    async def test_of_an_authority_that_has_expired_are_told(self, plc, folder):
        (folder / "ca.pem").write_bytes(expired_authority())
        assert "ca.pem has expired" in await self.told(plc, folder)

    async def test_are_read_anew_when_they_change(self, plant, plc, folder):
        plc.security = plant.serving(plant.plc(by=plant.stranger))
        assert "was not signed by" in await refusal(plc, folder)
        plant.fill(folder, ca=plant.stranger)
        async with Link(endpoint(plc, folder)) as link:
            assert await link.read(HOLDING, 0, 1) == (0,)

    async def test_show_their_key_to_nobody(self, plant, plc, folder, caplog):
        caplog.set_level(logging.DEBUG)
        ours = plant.fill(folder, ours=plant.gateway(by=plant.stranger))
        plc.security = plant.serving(wants_ours=True)
        told = await refusal(plc, folder)
        secret = (ours / "client.key").read_text().splitlines()[1]
        assert secret not in told + caplog.text
        assert secret not in repr(endpoint(plc, folder))


def encrypted(key: bytes) -> bytes:
    """The same key under a passphrase."""
    from cryptography.hazmat.primitives import serialization as forms

    known = forms.load_pem_private_key(key, None)
    return known.private_bytes(
        forms.Encoding.PEM, forms.PrivateFormat.PKCS8, forms.BestAvailableEncryption(b"passphrase")
    )


def expired_authority() -> bytes:
    """A certificate that may sign others, and has expired."""
    from datetime import UTC, datetime, timedelta

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives import serialization as forms
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "old plant")])
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    made = made.serial_number(1).not_valid_before(now - timedelta(days=9)).not_valid_after(now - timedelta(days=1))
    made = made.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    return made.sign(key, hashes.SHA256()).public_bytes(forms.Encoding.PEM)
