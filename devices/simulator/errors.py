"""What a simulated machine says no to."""

import errno

ILLEGAL_FUNCTION = 1
ILLEGAL_ADDRESS = 2
ILLEGAL_VALUE = 3

REASONS = {
    errno.EADDRINUSE: "it is in use by another program",
    errno.EACCES: "this user may not listen there (ports below 1024 need rights)",
    errno.EADDRNOTAVAIL: "this computer does not have that address",
}


class RequestRefused(Exception):
    """The machine answers with a Modbus exception and changes nothing."""

    def __init__(self, code: int) -> None:
        self.code = code
        super().__init__(f"exception {code}")


class FramingLost(Exception):
    """What came is not Modbus TCP: nobody can say where the next request starts."""


class CannotListen(Exception):
    """The machine can't be reached, since its port is not to be had."""

    def __init__(self, host: str, port: int, cause: OSError) -> None:
        self.port = port
        reason = REASONS.get(cause.errno or 0, cause.strerror or str(cause))
        super().__init__(f"can't listen on {host} port {port}: {reason}")
