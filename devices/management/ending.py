"""What ends a process, and how long it may take."""

import signal

SIGNALS = (signal.SIGTERM, signal.SIGINT)
LAST_RESORT_S = 20.0  # beyond a drain, for all that has no limit of its own
