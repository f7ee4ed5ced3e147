"""Certificates of a plant: who signs, what a PLC and the gateway show, and the folder in which the gateway has them."""

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trustme

Issued = trustme.LeafCert


class Plant:
    """Its authority, and another one that nobody here believes."""

    def __init__(self) -> None:
        self.ca, self.stranger = trustme.CA(), trustme.CA()

    def plc(self, *names: str, by: trustme.CA | None = None, valid_days: tuple[int, int] = (-1, 30)) -> Issued:
        """A PLC's certificate, for these names, valid from and to so many days from now."""
        first, last = (datetime.now(UTC) + timedelta(days=days) for days in valid_days)
        return (by or self.ca).issue_cert(*names or ("127.0.0.1",), not_before=first, not_after=last)

    def gateway(self, *, by: trustme.CA | None = None, valid_days: tuple[int, int] = (-1, 30)) -> Issued:
        return self.plc("gateway.plant", by=by, valid_days=valid_days)

    def serving(
        self, certificate: Issued | None = None, *, wants_ours: bool = False, latest: ssl.TLSVersion | None = None
    ) -> ssl.SSLContext:
        """What a PLC serves with; `wants_ours`: only who shows a certificate of the plant is let in."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        (certificate or self.plc()).configure_cert(context)
        if latest is not None:
            context.maximum_version = latest
        if wants_ours:
            context.verify_mode = ssl.CERT_REQUIRED
            self.ca.configure_trust(context)
        return context

    def fill(self, folder: Path, *, ours: Issued | None = None, ca: trustme.CA | None = None) -> Path:
        """Write the files of an identity."""
        folder.mkdir(parents=True, exist_ok=True)
        (ca or self.ca).cert_pem.write_to_path(folder / "ca.pem")
        if ours is not None:
            (folder / "client.pem").write_bytes(b"".join(blob.bytes() for blob in ours.cert_chain_pems))
            ours.private_key_pem.write_to_path(folder / "client.key")
            (folder / "client.key").chmod(0o600)
        return folder
