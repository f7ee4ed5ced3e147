"""The secret key that was made on first start: a file that only its owner reads, and that no checkout contains.

It signs sessions and hashes API keys: whoever copies a checkout, or packs it into an image, must not carry it along.
"""

import hashlib
import os
import secrets
from contextlib import suppress
from pathlib import Path

NAME = "secret_key"
FOLDER = "plc-gateway"
OTHERS = 0o077  # the rights of group and world
WAY_OUT = "Set SECRET_KEY in the environment, or DATA_DIR to a folder outside the checkout that can be written."


class Unusable(Exception):
    """There is no secret key that could be used; the message says what to do."""


def kept_key(data_dir: Path, checkout: Path, user_data: Path) -> str:
    """The key of the gateway whose data lie in `data_dir`, made where there is none yet. Raises Unusable.

    Where `data_dir` lies in the checkout, the key is kept in `user_data`, and one of an earlier version moves there.
    """
    path = place_of(data_dir, checkout, user_data)
    earlier = data_dir / NAME
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not path.exists():
            _write_once(path, _read(earlier) if earlier.exists() else secrets.token_urlsafe(50))
        key = _read(path)
        if earlier != path:
            earlier.unlink(missing_ok=True)
    except OSError as error:
        raise Unusable(f"The secret key cannot be kept in {path}: {error.strerror}. {WAY_OUT}") from error
    return key


def place_of(data_dir: Path, checkout: Path, user_data: Path) -> Path:
    """Which file: beside the data, unless those lie in the checkout."""
    where = data_dir.resolve()
    if not where.is_relative_to(checkout.resolve()):
        return data_dir / NAME
    return user_data / FOLDER / hashlib.sha256(os.fsencode(where)).hexdigest()[:16] / NAME


def user_data(home: str, xdg_data_home: str) -> Path:
    """Where programs keep a user's data (XDG Base Directory Specification)."""
    return Path(xdg_data_home) if xdg_data_home.startswith("/") else Path(home or "/nonexistent") / ".local" / "share"


def _read(path: Path) -> str:
    mode = path.stat().st_mode
    if mode & OTHERS:
        raise Unusable(
            f"Others than its owner may read or write the secret key {path} (mode {mode & 0o777:o}). If nobody has "
            f"read it, chmod 600 it; else delete it: a new one is made, which ends all sessions and API keys."
        )
    key = path.read_text().strip()
    if not key:
        raise Unusable(f"The secret key {path} is empty. Delete it: a new one is made. {WAY_OUT}")
    return key


def _write_once(path: Path, key: str) -> None:
    """Whole or not at all, and never over one that another process has just made."""
    draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    with open(draft, "x", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        file.write(key)
    try:
        with suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink()
