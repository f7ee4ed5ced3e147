"""How many pages each caller has open at this process: a script that opens ever more is not to crowd out the others."""

from collections import Counter

from django.conf import settings


class OpenPages:
    """Counts the open pages of each caller; who leaves is forgotten."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    def enter(self, caller: str) -> bool:
        """Take a place, if there is one: false, and nothing is counted, where he has as many as may be."""
        if self._counts[caller] >= settings.PAGES_PER_CALLER:
            return False
        self._counts[caller] += 1
        return True

    def leave(self, caller: str) -> None:
        """Give the place back."""
        self._counts[caller] -= 1
        if not self._counts[caller]:
            del self._counts[caller]

    def __len__(self) -> int:
        """Of how many callers there are pages."""
        return len(self._counts)


open_pages = OpenPages()
"""Of this process."""
