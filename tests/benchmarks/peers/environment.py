"""What a peer's program is told."""

from collections.abc import Sequence
from pathlib import Path


def peer_environment(database: Path, key: str, ports: Sequence[int]) -> dict[str, str]:
    """Its SQLite file, the key that its caller shows, and the ports of plc-0, plc-1 and so on."""
    return {"PEER_DATABASE": str(database), "PEER_KEY": key, "PEER_PORTS": ",".join(map(str, ports))}
