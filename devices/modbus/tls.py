"""Modbus/TCP Security: who a PLC must be, who we are to it, and why a TLS connection did not come about.

An identity is a folder: `ca.pem`, which the PLC's certificate must be signed by, and where the PLC wants to know who
calls, `client.pem` with `client.key`. No other authority counts, the computer's own neither.
"""

import asyncio
import ssl
import stat
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from devices.modbus.errors import TLSRefused

CA, CERTIFICATE, KEY = "ca.pem", "client.pem", "client.key"

# The default executor is everybody's, and a folder on a network drive may hang.
_executor = ThreadPoolExecutor(2, thread_name_prefix="plc-tls")


@dataclass(frozen=True, kw_only=True, slots=True)
class Identity:
    """With which certificates to talk to a PLC, and which name its own must be made for."""

    folder: Path = field(repr=False)
    server_name: str

    def __post_init__(self) -> None:
        """ValueError where no certificate can be made for such a name."""
        if not self.server_name.encode("idna"):
            raise ValueError("TLS needs a name that the PLC's certificate is made for")


class Unusable(Exception):
    """The files of an identity are not as they must be; no key is ever quoted."""


async def fault_of(folder: Path) -> str | None:
    """What is wrong with the files of an identity, in words for whoever put them there; None if nothing is.

    Put a time limit around it: a folder on a network drive may hang.
    """
    try:
        await asyncio.get_running_loop().run_in_executor(_executor, _context_of, folder)
    except Unusable as error:
        return str(error)
    return None


async def context(identity: Identity) -> ssl.SSLContext:
    """What to connect with, made anew when a file has changed. Raises TLSRefused."""
    try:
        return await asyncio.get_running_loop().run_in_executor(_executor, _context_of, identity.folder)
    except Unusable as error:
        raise TLSRefused(str(error)) from error


_made: dict[Path, tuple[object, ssl.SSLContext]] = {}
"""By folder: what the files were like, and what was made of them."""


def _context_of(folder: Path) -> ssl.SSLContext:
    try:
        files = _look_at(folder)
        known = _made.get(folder)
        if known is None or known[0] != files:
            known = _made[folder] = files, _make(folder, has_certificate=CERTIFICATE in files)
    except OSError as error:
        raise Unusable(f"TLS: {error.filename or folder} cannot be read ({error.strerror})") from error
    _require_valid(folder, known[1])
    return known[1]


def _look_at(folder: Path) -> dict[str, object]:
    """Which files are there, and since when."""
    files = {name: status for name in (CA, CERTIFICATE, KEY) if (status := _status(folder / name))}
    if CA not in files:
        raise Unusable(f"TLS: {folder / CA} is missing, the certificate of who signs the PLC's")
    if (CERTIFICATE in files) is not (KEY in files):
        there, missing = (CERTIFICATE, KEY) if CERTIFICATE in files else (KEY, CERTIFICATE)
        raise Unusable(f"TLS: {folder} has {there} and no {missing}: both, or neither")
    if KEY in files and files[KEY].st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise Unusable(f"TLS: others than its owner may use {folder / KEY}: give it mode 600")
    return {name: (status.st_ino, status.st_mtime_ns, status.st_size) for name, status in files.items()}


def _status(path: Path) -> Any:
    try:
        return path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None


def _make(folder: Path, *, has_certificate: bool) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # checks certificate and name, and knows no authority yet
    made.minimum_version = ssl.TLSVersion.TLSv1_2  # MB-TCP-Security-v21 section 8
    try:
        made.load_verify_locations(folder / CA)
    except ssl.SSLError as error:
        raise Unusable(f"TLS: {folder / CA} holds no certificate in PEM format") from error
    if has_certificate:
        try:
            # Without a password of ours OpenSSL would ask for one at the terminal.
            made.load_cert_chain(folder / CERTIFICATE, folder / KEY, password=_refuse_encrypted)
        except ssl.SSLError as error:
            raise Unusable(_why_no_pair(folder, error)) from error
    return made


def _refuse_encrypted() -> bytes:
    raise Unusable(f"TLS: {KEY} is encrypted: take the passphrase off and give it mode 600")


def _why_no_pair(folder: Path, error: ssl.SSLError) -> str:
    if error.reason == "KEY_VALUES_MISMATCH":
        return f"TLS: {KEY} is not the key of {CERTIFICATE} in {folder}"
    return f"TLS: {CERTIFICATE} and {KEY} in {folder} are no certificate and its key in PEM format"


def _require_valid(folder: Path, made: ssl.SSLContext) -> None:
    """An authority that has expired vouches for nobody; said before a PLC is blamed for it."""
    now = datetime.now(UTC).timestamp()
    ends = [str(one["notAfter"]) for one in made.get_ca_certs()]
    if ends and all(ssl.cert_time_to_seconds(end) < now for end in ends):
        raise Unusable(f"TLS: {folder / CA} has expired ({ends[-1]})")


NOT_YET_VALID, EXPIRED = 9, 10  # x509_vfy.h, as the following
OTHER_NAMES = frozenset({62, 64})
UNKNOWN_SIGNERS = frozenset({2, 18, 19, 20, 21})
OUR_CERTIFICATE = {
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": "the PLC wants a certificate of the gateway",
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": "the PLC says that the gateway's certificate has expired",
    "SSLV3_ALERT_CERTIFICATE_REVOKED": "the PLC says that the gateway's certificate has been revoked",
    "TLSV1_ALERT_UNKNOWN_CA": "the PLC does not know who signed the gateway's certificate",
    "TLSV1_ALERT_ACCESS_DENIED": "the PLC does not let the gateway's certificate in",
} | dict.fromkeys(
    ("SSLV3_ALERT_BAD_CERTIFICATE", "SSLV3_ALERT_CERTIFICATE_UNKNOWN", "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE"),
    "the PLC does not accept the gateway's certificate",
)
"""What a PLC answers about us, by the name that OpenSSL gives the alert."""
HANDSHAKE = (
    dict.fromkeys(
        ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG", "RECORD_LAYER_FAILURE"),
        "what answers does not speak TLS at this port",
    )
    | dict.fromkeys(
        ("UNSUPPORTED_PROTOCOL", "TLSV1_ALERT_PROTOCOL_VERSION"), "the PLC speaks no version from TLS 1.2 on"
    )
    | dict.fromkeys(
        ("SSLV3_ALERT_HANDSHAKE_FAILURE", "TLSV1_ALERT_INSUFFICIENT_SECURITY"),
        f"the PLC refused the handshake: it may want a certificate of the gateway ({CERTIFICATE}, {KEY})",
    )
)
"""Why a handshake broke off, by the name that OpenSSL gives the error."""
CLOSED = (
    "the PLC closed the connection amid the handshake: it may not speak TLS at this port, or not accept the gateway's "
    "certificate"
)


def is_about_us(error: Exception | None) -> bool:
    """Whether the PLC ended the connection because of the gateway's certificate, or because there is none."""
    return isinstance(error, ssl.SSLError) and error.reason in OUR_CERTIFICATE


def why_refused(error: Exception | None, identity: Identity) -> str:
    """Why there is no TLS connection with a PLC that accepted the TCP connection, in words of a plant."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"TLS: {_why_distrusted(error, identity)}"
    if not isinstance(error, ssl.SSLError):
        return f"TLS: {CLOSED}"
    if error.reason in OUR_CERTIFICATE:
        return f"TLS: {OUR_CERTIFICATE[error.reason]} ({CERTIFICATE} and {KEY} in {identity.folder})"
    return f"TLS: {HANDSHAKE.get(error.reason, f'the handshake failed, as OpenSSL says: {error.reason}')}"


def _why_distrusted(error: ssl.SSLCertVerificationError, identity: Identity) -> str:
    if error.verify_code == EXPIRED:
        return "a certificate of the PLC has expired, or this computer's clock is wrong"
    if error.verify_code == NOT_YET_VALID:
        return "a certificate of the PLC is not valid yet, or this computer's clock is wrong"
    if error.verify_code in OTHER_NAMES:
        return f"the PLC's certificate is made for another name than {identity.server_name}"
    if error.verify_code in UNKNOWN_SIGNERS:
        return f"the PLC's certificate was not signed by {identity.folder / CA}"
    return f"the PLC's certificate cannot be trusted: {error.verify_message}"
