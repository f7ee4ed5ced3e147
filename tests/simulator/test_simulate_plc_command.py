"""`manage.py simulate_plc` as a process of its own."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command

from .mbap_client import MbapClient

PORT = 21021
MANAGE = Path(__file__).parents[2] / "manage.py"


async def run(*arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        str(MANAGE),
        "simulate_plc",
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=os.environ | {"DATA_DIR": str(settings.DATA_DIR)},
    )


class TestProcess:
    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    async def test_says_where_it_listens_serves_and_leaves_with_0(self, number):
        process = await run("--port", str(PORT), "--delay-ms", "10", "--max-connections", "2", "--cycle-s", "0.05")
        try:
            told = await asyncio.wait_for(process.stdout.readline(), 20)
            assert f"listens on 127.0.0.1:{PORT}" in told.decode()
            async with MbapClient(PORT) as client:
                assert await client.registers(3, 0, 2) == [15, 3]
                process.send_signal(number)
                rest, errors = await asyncio.wait_for(process.communicate(), 10)
            assert (process.returncode, errors) == (0, b"")
            assert b"stopped" in rest
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()

    async def test_says_in_one_line_that_its_port_is_in_use(self):
        taken = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", PORT)
        async with taken:
            process = await run("--port", str(PORT))
            _, errors = await asyncio.wait_for(process.communicate(), 20)
        assert process.returncode == 1
        expected = f"CommandError: can't listen on 127.0.0.1 port {PORT}: it is in use by another program"
        assert errors.decode().splitlines() == [expected]


class TestOptions:
    @pytest.mark.parametrize(
        "options",
        [{"port": 70000}, {"delay_ms": -1}, {"max_connections": 0}, {"cycle_s": 0}, {"cycle_s": float("nan")}],
    )
    def test_that_make_no_sense_are_refused(self, options):
        with pytest.raises(CommandError, match="--"):
            call_command("simulate_plc", **options)
