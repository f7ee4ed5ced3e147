"""Which numbers of each gateway a page has heard: what a layer dropped shows as a gap. Pure."""

from collections.abc import Collection, Mapping


class Heard:
    """The highest number heard of each source, in each topic that the page is in."""

    def __init__(self, topics: Collection[str]) -> None:
        self._topics = topics
        self._seqs: dict[tuple[str, str], int] = {}
        self._told: set[tuple[str, str]] = set()

    def is_told(self, source: str, topic: str) -> bool:
        """Whether the source was heard there."""
        return (source, topic) in self._told

    def start_from(self, source: str, seqs: Mapping[str, int]) -> None:
        """What the source has told up to these numbers is in the snapshot that is taken now."""
        for topic, seq in seqs.items():
            self._seqs[source, topic] = max(seq, self._seqs.get((source, topic), 0))

    def lacks_before(self, source: str, topic: str, seq: int) -> bool:
        """Note a message; whether one before it was lost."""
        return self._lacks(source, topic, seq, needed=seq - 1)

    def lacks_up_to(self, source: str, seqs: Mapping[str, int]) -> bool:
        """Note which numbers a source has reached; whether one of them was lost. Other topics are none of ours."""
        ours = seqs.keys() & set(self._topics)
        lacking = [topic for topic in ours if self._lacks(source, topic, seqs[topic], needed=seqs[topic])]
        return bool(lacking)

    def _lacks(self, source: str, topic: str, seq: int, *, needed: int) -> bool:
        """Of a source not heard before nobody knows what was lost until now."""
        seen = self._seqs.get((source, topic))
        self._seqs[source, topic] = max(seq, seen or 0)
        self._told.add((source, topic))
        return seen is None or seen < needed
