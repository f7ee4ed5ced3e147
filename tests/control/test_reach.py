"""What the settings say of where PLCs may be, from the environment to the connection."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from devices.control import reach
from devices.control.gateway import Gateway
from devices.control.registry import Registry
from devices.modbus.networks import parse
from devices.models import PLC, State
from tests.control.rows import call
from tests.doubles.fault_server import FaultServer
from tests.serving.process import ROOT, child_environment

SHOWN = "from django.conf import settings; print(*settings.PLC_NETWORKS)"


def networks_of(tmp_path: Path, value: str | None, *, command: str = "serve") -> subprocess.CompletedProcess[str]:
    """What a gateway that was started with this setting allows."""
    environment = child_environment(tmp_path) | {"DJANGO_SETTINGS_MODULE": "plcsite.settings"}
    environment |= {"PLC_NETWORKS": value} if value is not None else {}
    if value is None:
        del environment["PLC_NETWORKS"]
    return subprocess.run(
        [sys.executable, "-c", f"import sys; sys.argv = ['manage.py', '{command}']; {SHOWN}"],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


class TestTheSetting:
    def test_is_empty_until_somebody_sets_it(self, tmp_path: Path) -> None:
        assert networks_of(tmp_path, None).stdout == "\n"

    def test_is_this_computer_in_the_demo(self, tmp_path: Path) -> None:
        assert networks_of(tmp_path, None, command="demo").stdout == "127.0.0.0/8 ::1/128\n"

    def test_lists_networks_and_addresses(self, tmp_path: Path) -> None:
        assert networks_of(tmp_path, "10.20.0.0/16, 192.168.7.9,").stdout == "10.20.0.0/16 192.168.7.9/32\n"

    def test_that_holds_something_else_keeps_the_gateway_from_starting(self, tmp_path: Path) -> None:
        refused = networks_of(tmp_path, "10.20.0.1/16")
        assert refused.returncode != 0
        assert "PLC_NETWORKS: '10.20.0.1/16' is no network such as 10.20.0.0/16" in refused.stderr


class TestAPLC:
    async def test_outside_of_a_changed_setting_is_told_nothing_and_its_run_names_the_setting(
        self, machine: FaultServer, press: PLC, settings: Any, gateway: Gateway
    ) -> None:
        settings.PLC_NETWORKS = parse(["10.20.0.0/16"])
        gateway.registry.reload()
        run = await call()
        assert (run.state, run.triggered_at) == (State.FAILED, None)
        assert "127.0.0.1 is not within the networks that the setting PLC_NETWORKS allows (10.20.0.0/16)" in run.detail
        assert machine.connects == 0

    async def test_where_redis_listens_is_told_nothing(
        self, machine: FaultServer, press: PLC, settings: Any, gateway: Gateway
    ) -> None:
        settings.REDIS_URL = f"redis://:secret@localhost:{machine.port}/0"
        gateway.registry.reload()
        run = await call()
        assert run.state == State.FAILED
        assert f"Redis listens at 127.0.0.1, port {machine.port}: no PLC is there" in run.detail
        assert "secret" not in run.detail
        assert machine.connects == 0

    async def test_keeps_its_values_and_its_meaning_when_a_port_of_ours_becomes_known(
        self, registry: Registry, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        before = await registry.find("press-1")
        monkeypatch.setattr(reach, "_listening", set())
        reach.note_listening("127.0.0.1", 8123)
        registry.reload()
        after = await registry.find("press-1")
        assert after.endpoint.networks.why_not("127.0.0.1") is None
        assert next((one.name, one.port) for one in after.endpoint.networks.services) == ("the gateway itself", 8123)
        assert (after.endpoint, repr(after.endpoint)) == (before.endpoint, repr(before.endpoint))

    @pytest.fixture
    def registry(self, press: PLC, gateway: Gateway) -> Registry:
        return gateway.registry


class TestTheGatewaysServices:
    @pytest.mark.parametrize(
        ("database", "listens"),
        [
            ({"ENGINE": "django.db.backends.postgresql", "HOST": "db.plant", "PORT": 6000}, [("db.plant", 6000)]),
            ({"ENGINE": "django.db.backends.postgresql", "HOST": "", "PORT": ""}, [("localhost", 5432)]),
            ({"ENGINE": "django.db.backends.postgresql", "HOST": "/run/pg", "PORT": ""}, [("localhost", 5432)]),
            ({"ENGINE": "django.db.backends.postgresql", "HOST": "a,b", "PORT": "1"}, [("a", 1), ("b", 1)]),
            ({"ENGINE": "django.db.backends.sqlite3", "NAME": "x"}, []),
        ],
    )
    def test_are_where_the_database_is(self, monkeypatch: pytest.MonkeyPatch, database: dict, listens: list) -> None:
        monkeypatch.setattr(reach.settings, "DATABASES", {"default": database})
        monkeypatch.setattr(reach.settings, "REDIS_URL", "")
        monkeypatch.setattr(reach, "_listening", set())
        assert [(service.host, service.port) for service in reach.networks().services] == listens

    @pytest.mark.parametrize(
        ("url", "listens"),
        [
            ("redis://cache.plant/1", [("cache.plant", 6379)]),
            ("rediss://u:p@[::1]:7000", [("::1", 7000)]),
            ("unix:///run/redis.sock", []),
            ("", []),
        ],
    )
    def test_are_where_redis_is(self, monkeypatch: pytest.MonkeyPatch, url: str, listens: list) -> None:
        monkeypatch.setattr(reach.settings, "DATABASES", {"default": {"ENGINE": "django.db.backends.sqlite3"}})
        monkeypatch.setattr(reach.settings, "REDIS_URL", url)
        monkeypatch.setattr(reach, "_listening", set())
        assert [(service.host, service.port) for service in reach.networks().services] == listens
