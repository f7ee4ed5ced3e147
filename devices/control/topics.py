"""The groups of the channel layer in which gateways and pages meet. Pure."""

PAGES = "live.pages"
"""All pages: that a gateway lives, that the registry has changed, that the server ends."""
OVERVIEW = "live.overview"
"""Pages that show all PLCs."""
GATEWAYS = "live.gateways"
"""All gateways: pages of one PLC ask them for its news."""

_PLC = "live.plc."


def topic_of(plc_id: int) -> str:
    """Of the pages that show this PLC."""
    return f"{_PLC}{plc_id}"


def is_of_a_plc(topic: object) -> bool:
    """Whether a page may ask for it."""
    return isinstance(topic, str) and topic.startswith(_PLC)
