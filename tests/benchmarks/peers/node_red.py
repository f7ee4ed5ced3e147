"""Node-RED with node-red-contrib-modbus: http in, flex-write, flex-write, response; connections are kept."""

import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.benchmarks.calls import GIVEN
from tests.benchmarks.load import Target
from tests.benchmarks.peers.installed import PROGRAMS, node_red_in
from tests.benchmarks.processes import free_port, served
from tests.benchmarks.side import Side

NAME = "Node-RED, no key, no record"

REGISTERS = """
const given = msg.payload;
msg.payload = {value: [given.batch_size, given.nok_num], fc: 16, unitid: 1, address: 0, quantity: 2};
return msg;
"""
COIL = """
msg.payload = {value: true, fc: 5, unitid: 1, address: 0, quantity: 1};
return msg;
"""
ANSWER = """
msg.payload = {state: "succeeded"};
return msg;
"""
CLIENT = {
    # As the editor gives them.
    "type": "modbus-client",
    "clienttype": "tcp",
    "bufferCommands": True,
    "stateLogEnabled": False,
    "queueLogEnabled": False,
    "failureLogEnabled": True,
    "tcpHost": "127.0.0.1",
    "tcpType": "DEFAULT",
    "serialConnectionDelay": 100,
    "unit_id": 1,
    "commandDelay": 1,
    "clientTimeout": 1000,
    "reconnectOnTimeout": True,
    "reconnectTimeout": 2000,
    "parallelUnitIdsAllowed": True,
}


@contextmanager
def running_node_red(
    directory: Path, cache: Path, ports: Sequence[int], *, may_install: bool = True
) -> Iterator[list[Side]]:
    """With one flow for each PLC, since a node writes to the PLC that it was given in the editor."""
    home, port = node_red_in(cache, may_install=may_install), free_port()
    own = directory / "node-red"
    own.mkdir()
    shutil.copy(PROGRAMS / "node_red" / "settings.js", own)
    (own / "node_modules").symlink_to(home / "node_modules")
    flows = [node for number, at in enumerate(ports) for node in _flow(number, at)]
    (own / "flows.json").write_text(json.dumps(flows))
    red = home / "node_modules" / "node-red" / "red.js"
    command = ["node", str(red), "--userDir", str(own), "--port", str(port)]
    with served(command, port, directory / "node-red.log", cwd=own):
        yield [Side(NAME, port, lambda plc: Target(method="POST", path=f"/start/plc-{plc}", body=GIVEN))]


def _flow(number: int, port: int) -> list[dict[str, Any]]:
    tab, plc = f"tab{number}", f"plc{number}"
    chain: list[dict[str, Any]] = [
        {"type": "http in", "url": f"/start/plc-{number}", "method": "post"},
        {"type": "function", "func": REGISTERS, "outputs": 1},
        {"type": "modbus-flex-write", "server": plc, "keepMsgProperties": True},
        {"type": "function", "func": COIL, "outputs": 1},
        {"type": "modbus-flex-write", "server": plc, "keepMsgProperties": True},
        {"type": "function", "func": ANSWER, "outputs": 1},
        {"type": "http response", "statusCode": "200"},
    ]
    for place, node in enumerate(chain):
        node |= {"id": f"{tab}-{place}", "z": tab, "x": 100, "y": 100, "name": ""}
        node["wires"] = [[f"{tab}-{place + 1}"]] if place + 1 < len(chain) else []
    return [{"id": tab, "type": "tab", "label": tab}, {"id": plc, "name": "", "tcpPort": port, **CLIENT}, *chain]
