"""Why a server does not start, in words for whoever types the command."""


class CannotStart(Exception):
    """Nothing listens, nothing was told to any machine; the message says what to do."""
