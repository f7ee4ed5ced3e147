"""docs/operating.md and its units: what an operator is told to type or to install is there, and is right."""

import os
import re
import shutil
import subprocess
import sys
import time
from argparse import ArgumentParser
from collections.abc import Iterator
from configparser import ConfigParser
from pathlib import Path

import pytest
from django.core.management import get_commands, load_command_class

from devices.management.ending import LAST_RESORT_S
from tests.test_docs import README, ROOT, rows, section

FOLDER = ROOT / "docs" / "systemd"
UNITS = sorted(path for path in FOLDER.iterdir() if path.suffix in {".service", ".socket", ".target", ".timer"})
SERVICES = [unit for unit in UNITS if unit.suffix == ".service"]
OPERATING = (ROOT / "docs" / "operating.md").read_text()
PYTHON = "/opt/plc-gateway/.venv/bin/python"

# `manage.py COMMAND`, and `plc-gateway COMMAND` at the begin of a line or of code in it, with what follows.
CALLS = re.compile(r"(?:manage\.py|(?:^|`)(?:sudo )?plc-gateway) ([a-z][a-z_]+)([^\n`'&|;]*)", re.MULTILINE)


def parser_of(command: str) -> ArgumentParser:
    """KeyError where there is no such command."""
    return load_command_class(get_commands()[command], command).create_parser("manage.py", command)


def calls() -> Iterator[tuple[str, str]]:
    """Each command that is told of, with each of its options; an empty one where it has none."""
    texts = [README, OPERATING, *(path.read_text() for path in FOLDER.iterdir())]
    for command, arguments in (found for text in texts for found in CALLS.findall(text)):
        yield from ((command, option) for option in re.findall(r"(?<!\S)--[a-z-]+", arguments) or [""])


def is_known(command: str, option: str) -> bool:
    return command in get_commands() and (not option or option in parser_of(command)._option_string_actions)


def read(unit: Path) -> ConfigParser:
    """As systemd does, but for names that come twice, of which the last one counts here."""
    parser = ConfigParser(interpolation=None, strict=False, delimiters=("=",), comment_prefixes=("#",))
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(unit.read_text())
    return parser


class TestCommandLines:
    def test_are_found(self):
        """In the units, in the page, in the wrapper's comment, in the README."""
        assert {"serve", "poll", "backup", "migrate", "verify_audit", "after_restore", "createsuperuser"} <= {
            command for command, _ in calls()
        }
        assert {("serve", "--no-poll"), ("serve", "--port"), ("serve", "--fd")} <= set(calls())

    def test_name_commands_and_options_that_exist(self):
        assert not {call for call in calls() if not is_known(*call)}

    def test_of_the_services_run_the_checkout_s_python(self):
        for service in SERVICES:
            assert f"{PYTHON} manage.py " in read(service)["Service"]["ExecStart"]


class TestVariables:
    def test_of_the_environment_file_are_settings(self):
        settings = {cells[0].strip("`") for cells in rows(section("Configuration"))}
        named = set(re.findall(r"^#?([A-Z_]+)=", (FOLDER / "gateway.env").read_text(), re.MULTILINE))
        assert {"ALLOWED_HOSTS", "PLC_NETWORKS", "SECRET_KEY", "DATABASE_URL", "REDIS_URL"} <= named <= settings

    def test_that_the_page_names_are_settings(self):
        settings = {cells[0].strip("`") for cells in rows(section("Configuration"))}
        words = set(re.findall(r"`([A-Z]+_[A-Z_]+)`", OPERATING))
        assert words
        assert words <= settings

    def test_are_given_to_every_service_by_the_one_file(self):
        assert {read(service)["Service"]["EnvironmentFile"] for service in SERVICES} == {"/etc/plc-gateway/gateway.env"}


class TestUnits:
    def test_are_all_told_of(self):
        assert [path.name for path in FOLDER.iterdir() if f"systemd/{path.name})" not in OPERATING] == []

    def test_wait_for_the_end_of_what_runs(self):
        """Longer than the process's own last resort: systemd would cut commands."""
        drain_s = float(re.findall(r"^DRAIN_S=(\S+)", (FOLDER / "gateway.env").read_text(), re.MULTILINE)[0])
        limits = {"serve": drain_s + LAST_RESORT_S, "poll": LAST_RESORT_S}
        for service in SERVICES:
            command = read(service)["Service"]["ExecStart"].partition("manage.py ")[2].split()[0]
            if command in limits:
                assert float(read(service)["Service"]["TimeoutStopSec"]) > limits[command]

    def test_shut_every_service_in_alike(self):
        """None runs as root, and each may do as little as the others."""
        begin = "# What it may not do"
        walls = {begin + service.read_text().partition(begin)[2].partition("\n\n")[0].rstrip() for service in SERVICES}
        assert len(walls) == 1
        assert "NoNewPrivileges=yes" in walls.pop()
        assert {read(service)["Service"]["User"] for service in SERVICES} == {"plc-gateway"}

    def test_end_a_backup_that_hangs_and_let_nothing_pile_up(self, tmp_path: Path):
        """A service of one shot has no limit by itself, and the timer starts none while one runs."""
        backup = read(FOLDER / "plc-gateway-backup.service")["Service"]
        assert backup["TimeoutStartSec"] == "4h"
        for name in ("old.backup", "new.backup", "cut-off.backup.part", "now.backup.part", "other"):
            (tmp_path / name).touch()
        for name, days in (("old.backup", 32), ("cut-off.backup.part", 3), ("other", 99)):
            os.utime(tmp_path / name, (at := time.time() - days * 86400, at))
        command = backup["ExecStartPost"].replace("/var/backups/plc-gateway", str(tmp_path)).split()
        subprocess.run(command, check=True)
        assert {path.name for path in tmp_path.iterdir()} == {"new.backup", "now.backup.part", "other"}

    def test_share_one_socket(self):
        web = read(FOLDER / "plc-gateway-web@.service")["Service"]
        assert web["Sockets"] == "plc-gateway-web.socket"
        assert web["ExecStart"].endswith("--fd 3")
        assert read(FOLDER / "plc-gateway-web.socket")["Socket"]["Service"] == "plc-gateway-web@1.service"


def installed(folder: Path) -> list[str]:
    """The units as an operator has them, with a Python that is there, and an instance of each template."""
    for unit in UNITS:
        text = unit.read_text().replace(PYTHON, sys.executable)
        (folder / unit.name).write_text(text)
    return [str(folder / unit.name.replace("@.", "@1.")) for unit in UNITS]


def verified(units: list[str], folder: Path) -> str:
    """What systemd has to say about them."""
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *units],
        env={"SYSTEMD_UNIT_PATH": f"{folder}:", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.stdout + done.stderr + ("" if done.returncode == 0 else f"exit code {done.returncode}")


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed here")
class TestSystemd:
    def test_finds_nothing_in_the_units(self, tmp_path: Path):
        assert verified(installed(tmp_path), tmp_path) == ""

    @pytest.mark.parametrize(
        ("right", "wrong"),
        [
            ("TimeoutStopSec=60", "TimeoutStoppSec=60"),
            ("NoNewPrivileges=yes", "NoNewPrivileges=perhaps"),
            ("ExecStart=", "ExecStart=/nowhere"),
        ],
    )
    def test_would_find_a_mistake(self, tmp_path: Path, right: str, wrong: str):
        units = installed(tmp_path)
        for unit in tmp_path.glob("plc-gateway*.service"):
            unit.write_text(unit.read_text().replace(right, wrong))
        assert verified(units, tmp_path) != ""
