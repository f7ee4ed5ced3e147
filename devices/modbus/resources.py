"""What this process has of its machine: descriptors and local ports to open connections with, and its addresses."""

import errno
import socket

SHORTAGES = frozenset({errno.EMFILE, errno.ENFILE, errno.EADDRNOTAVAIL, errno.ENOBUFS, errno.ENOMEM})
"""Reasons for which a connection failed on our side, whatever the PLC does; connect(2), socket(2)."""


def is_shortage(error: OSError) -> bool:
    """Whether it says that we, not the PLC, cannot open a connection."""
    return error.errno in SHORTAGES


def are_left() -> bool:
    """Try whether a socket with a local port can be had now; it is given back at once."""
    try:
        with socket.socket() as trial:
            trial.bind(("127.0.0.1", 0))
    except OSError:
        return False
    return True


def is_own_address(address: str) -> bool:
    """Whether it is an address of this computer: one can listen at it."""
    try:
        with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as trial:
            trial.bind((address, 0))
    except OSError:
        return False
    return True
