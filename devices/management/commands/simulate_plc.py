"""One simulated batch machine, until Ctrl-C."""

import asyncio
import signal
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from devices.simulator.batch_machine import BatchMachine
from devices.simulator.errors import CannotListen
from devices.simulator.simulated_plc import SimulatedPLC


class Command(BaseCommand):
    """Needs no database: it knows nothing of the gateway."""

    help = "Runs one simulated batch machine over Modbus TCP until Ctrl-C or SIGTERM."
    requires_system_checks = []
    requires_migrations_checks = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Say what can be set, with units."""
        parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: this computer only)")
        parser.add_argument("--port", type=int, default=5020, help="TCP port to listen on (default 5020)")
        parser.add_argument("--delay-ms", type=float, default=0, help="time until each answer (default 0)")
        parser.add_argument(
            "--max-connections", type=int, help="serve so many, let the others wait (default: no limit)"
        )
        parser.add_argument("--cycle-s", type=float, default=0.5, help="time to make one part (default 0.5)")

    def handle(self, **options: Any) -> None:
        """Listen until told to stop."""
        _require(0 <= options["port"] <= 65535, "--port must be 0 to 65535")
        _require(options["delay_ms"] >= 0, "--delay-ms must not be negative")
        _require(options["max_connections"] is None or options["max_connections"] >= 1, "--max-connections: 1 or more")
        _require(options["cycle_s"] >= 0.01, "--cycle-s must be 0.01 or more: the machine's program runs every 10 ms")
        plc = SimulatedPLC(
            host=options["host"],
            port=options["port"],
            machine=BatchMachine(cycle_s=options["cycle_s"]),
            answer_delay_s=options["delay_ms"] / 1000,
            max_connections=options["max_connections"],
        )
        try:
            asyncio.run(self._run(plc))
        except CannotListen as error:
            raise CommandError(str(error)) from error

    async def _run(self, plc: SimulatedPLC) -> None:
        is_over = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, is_over.set)
        async with plc:
            self.stdout.write(f"batch machine listens on {plc.server.host}:{plc.server.port}, Ctrl-C ends it")
            self.stdout.flush()
            await is_over.wait()
        self.stdout.write("batch machine stopped")


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise CommandError(message)
