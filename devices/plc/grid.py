"""When the rounds of one poll interval are due: at fixed points, spread over the interval from PLC to PLC. Pure."""

import math

GOLDEN = 0.6180339887498949  # steps of this share of a circle lie as far apart as can be, however many there are
FIRST_WITHIN_S = 10.0  # also of a long interval: nobody wants to wait an hour for the first value


class Grid:
    """Due times, in seconds of the clock that `start_s` is of."""

    def __init__(self, interval_s: float, number: int, start_s: float) -> None:
        self.interval_s = interval_s
        share = number * GOLDEN % 1
        self._origin_s = start_s + share * interval_s
        self.due_s = start_s + share * min(interval_s, FIRST_WITHIN_S)

    def pass_by(self, clock_s: float) -> None:
        """On to the next point after this moment; what is late already is left out, not made up for in a bunch."""
        passed = math.floor((clock_s - self._origin_s) / self.interval_s)
        self.due_s = self._origin_s + (passed + 1) * self.interval_s
        if self.due_s <= clock_s:  # rounded down to the point that has just been
            self.due_s += self.interval_s

    def hurry(self, clock_s: float) -> None:
        """Be due now, once; the points stay where they are."""
        self.due_s = min(self.due_s, clock_s)
