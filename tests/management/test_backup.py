"""manage.py backup: whole whatever is written meanwhile; what a gateway knows that is restored from it."""

import asyncio
import itertools
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import httpx
import pytest
from django.db import connection

from tests.doubles.fault_server import FaultServer
from tests.management.own_site import Site, empty_site
from tests.serving.process import ROOT, child_environment

IS_SQLITE = connection.vendor == "sqlite"
PROGRAMS = () if IS_SQLITE else ("pg_dump", "pg_restore")
MISSING = [program for program in PROGRAMS if shutil.which(program) is None]
needs_programs = pytest.mark.skipif(bool(MISSING), reason=f"not installed here: {', '.join(MISSING)}")

REGISTER = """
from devices.management import demo_registry
from devices.models import PLC
from tests.access import new_key
demo_registry.create()
PLC.objects.filter(name="press-1").update(host="127.0.0.1", port={port})
print(new_key())
"""
LOG_IN = """
from django.contrib.auth.models import User
from django.test import Client
User.objects.create_superuser("eva", password="a good password")
client = Client()
client.force_login(User.objects.get())
print(client.cookies["__Host-sessionid" if "__Host-sessionid" in client.cookies else "sessionid"].value)
"""
COUNT = "from devices.models import Run; print(Run.objects.count())"
RESET = "/api/plcs/press-1/commands/reset_fault"


@pytest.fixture
def key(site: Site, plc: FaultServer) -> str:
    """The MES's, who may all with `press-1`, which is the double."""
    return site.printed(REGISTER.format(port=plc.port))


@pytest.fixture
def restored(tmp_path: Path) -> Iterator[Site]:
    """Another computer: nothing in it yet."""
    with empty_site(tmp_path / "restored", "restored") as fresh:
        yield fresh


def restore(backup: Path, old: Site, fresh: Site) -> None:
    """As docs/operating.md says."""
    shutil.copy(old.data_dir / "secret_key", fresh.data_dir)
    if IS_SQLITE:
        shutil.copy(backup, fresh.data_dir / "gateway.sqlite3")
        return
    url = fresh.env["DATABASE_URL"].replace("postgres://", "postgresql://")
    subprocess.run(
        ["pg_restore", "--no-owner", "--exit-on-error", "--single-transaction", f"--dbname={url}", str(backup)],
        check=True,
        timeout=60,
    )


@asynccontextmanager
async def mes_at(site: Site, key: str) -> AsyncIterator[httpx.AsyncClient]:
    """Who calls the gateway of the site, which serves while the block lasts."""
    serving = site.server()
    server = await asyncio.to_thread(serving.__enter__)
    try:
        async with httpx.AsyncClient(base_url=server.url, headers={"X-API-Key": key}, timeout=30) as mes:
            yield mes
    finally:
        await asyncio.to_thread(serving.__exit__, None, None, None)


async def ask(mes: httpx.AsyncClient, order: str) -> httpx.Response:
    return await mes.post(RESET, json={}, headers={"Idempotency-Key": order})


class Orders:
    """A MES that orders without end."""

    def __init__(self, mes: httpx.AsyncClient) -> None:
        self._mes = mes
        self._numbers = itertools.count()
        self.runs: dict[str, int] = {}
        """The run of each order that was answered."""

    @asynccontextmanager
    async def going_on(self) -> AsyncIterator[None]:
        callers = [asyncio.create_task(self._order()) for _ in range(4)]
        try:
            yield
        finally:
            for caller in callers:
                caller.cancel()
            ended = await asyncio.gather(*callers, return_exceptions=True)
            assert all(isinstance(end, asyncio.CancelledError) for end in ended), ended

    async def reach(self, count: int) -> None:
        """Wait until so many were answered."""
        async with asyncio.timeout(60):
            while len(self.runs) < count:  # noqa: ASYNC110 - what is waited for fires no event
                await asyncio.sleep(0.02)

    async def _order(self) -> None:
        while True:
            order = f"order-{next(self._numbers)}"
            answer = await ask(self._mes, order)
            assert answer.status_code == 200, answer.text
            self.runs[order] = answer.json()["id"]


async def backed_up(site: Site, file: Path) -> CompletedProcess[str]:
    done = await asyncio.to_thread(site.manage, "backup", str(file))
    assert done.returncode == 0, done.stderr
    return done


@needs_programs
class TestABackup:
    async def test_taken_amid_runs_is_whole_and_starts_a_gateway_that_knows_them(
        self,
        site: Site,
        restored: Site,
        key: str,
        plc: FaultServer,
        tmp_path: Path,
    ):
        file = tmp_path / "night.backup"
        async with mes_at(site, key) as mes:
            orders = Orders(mes)
            async with orders.going_on():
                await orders.reach(30)
                before = dict(orders.runs)
                await backed_up(site, file)
                await orders.reach(len(orders.runs) + 30)
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert sorted(os.listdir(tmp_path)) == ["gateway", file.name, "restored"], "one file, and no draft"

        await asyncio.to_thread(restore, file, site, restored)
        audit = restored.manage("verify_audit")
        assert audit.returncode == 0, audit.stderr
        count = int(restored.printed(COUNT))
        assert len(before) <= count < len(orders.runs)
        if IS_SQLITE:  # PostgreSQL makes the constraints anew, or pg_restore fails
            faults = restored.printed(
                "from django.db import connection as c; c.check_constraints();"
                "print(c.cursor().execute('PRAGMA integrity_check').fetchall())"
            )
            assert faults == "[('ok',)]"
        told = len(plc.writes)
        async with mes_at(restored, key) as mes:
            for order in (*itertools.islice(before, 3), list(before)[-1]):
                again = await ask(mes, order)
                assert (again.status_code, again.json()["id"]) == (200, before[order])
                assert again.headers["Idempotency-Replayed"] == "true"
            newest = (await mes.get("/api/runs", params={"limit": 50})).json()
            assert {run["state"] for run in newest["runs"]} <= {"succeeded", "failed", "unknown"}, "none is left open"
        assert len(plc.writes) == told
        assert restored.manage("verify_audit", "--expect", audit.stdout.splitlines()[-1]).returncode == 0

    async def test_knows_no_later_run_so_all_machines_are_locked_out_after_a_restore(
        self,
        site: Site,
        restored: Site,
        key: str,
        tmp_path: Path,
        plc: FaultServer,
    ):
        file = tmp_path / "night.backup"
        session = site.printed(LOG_IN)
        await backed_up(site, file)
        async with mes_at(site, key) as mes:
            assert (await ask(mes, "after-the-backup")).status_code == 200
        await asyncio.to_thread(restore, file, site, restored)

        held = restored.manage("after_restore")
        assert held.returncode == 0, held.stderr
        assert held.stdout.startswith("Locked 5 PLC(s) out and ended 1 session(s).")
        told = len(plc.writes)
        async with mes_at(restored, key) as mes:
            refused = await ask(mes, "after-the-backup")
            assert refused.status_code == 423
            assert "restored from a backup" in refused.json()["detail"]
            assert "shell after_restore" in refused.json()["detail"]
            assert session not in restored.printed(
                "from django.contrib.sessions.models import Session; print(list(Session.objects.values()))"
            )
            assert len(plc.writes) == told
            assert (await mes.delete("/api/plcs/press-1/lock-out")).status_code == 200
            assert (await ask(mes, "after-the-backup")).status_code == 200

    def test_is_of_this_file_alone_and_says_what_else_is_needed(self, kept_site: Site, tmp_path: Path):
        done = kept_site.manage("backup", str(tmp_path / "b"))
        assert done.stdout.startswith(f"Backed up to {tmp_path / 'b'} (")
        assert "the secret key" in done.stdout
        again = kept_site.manage("backup", str(tmp_path / "b"))
        assert again.returncode == 1
        assert "is there already, and is not written over" in again.stderr
        assert "Traceback" not in again.stderr

    def test_is_not_begun_where_another_is_written(self, kept_site: Site, tmp_path: Path):
        (tmp_path / "b.part").write_text("half of one")
        refused = kept_site.manage("backup", str(tmp_path / "b"))
        assert refused.returncode == 1
        assert "another backup writes it, or one was cut off" in refused.stderr
        assert (tmp_path / "b.part").read_text() == "half of one"
        assert not (tmp_path / "b").exists()

    def test_that_finds_no_room_leaves_nothing(self, kept_site: Site, tmp_path: Path):
        """The shell lets no file grow beyond 64 KiB."""
        where = tmp_path / "full"
        where.mkdir()
        full = subprocess.run(
            ["bash", "-c", 'ulimit -f 64 && exec "$0" manage.py backup "$1"', sys.executable, str(where / "b")],
            env=child_environment(kept_site.data_dir, kept_site.env),
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert full.returncode == 1
        assert "could not be copied" in full.stderr if IS_SQLITE else "pg_dump failed" in full.stderr
        assert "Traceback" not in full.stderr
        assert list(where.iterdir()) == []

    def test_into_no_folder_is_refused(self, kept_site: Site, tmp_path: Path):
        refused = kept_site.manage("backup", str(tmp_path / "none" / "b"))
        assert refused.returncode == 1
        assert "cannot be written: No such file or directory" in refused.stderr


class TestADatabase:
    def test_that_is_none_of_ours_is_not_backed_up(self, restored: Site, tmp_path: Path):
        refused = restored.manage("backup", str(tmp_path / "b"))
        assert refused.returncode == 1
        assert "There is no gateway's database at" in refused.stderr
        assert not (tmp_path / "b").exists()
        assert not (restored.data_dir / "gateway.sqlite3").exists(), "looking makes none"


if IS_SQLITE:

    class TestSQLite:
        def test_that_is_damaged_gives_no_backup(self, site: Site, tmp_path: Path):
            database = site.data_dir / "gateway.sqlite3"
            with sqlite3.connect(database) as damaging:
                (page,) = damaging.execute(
                    "SELECT rootpage FROM sqlite_master WHERE name = 'one_running_per_plc'"
                ).fetchone()
                (size,) = damaging.execute("PRAGMA page_size").fetchone()
            damaging.close()
            with database.open("r+b") as file:
                file.seek((page - 1) * size)
                file.write(b"\xff" * size)
            refused = site.manage("backup", str(tmp_path / "b"))
            assert refused.returncode == 1
            assert "The copy is not whole, nor then is the database" in refused.stderr
            assert not list(tmp_path.glob("b*"))


else:

    class TestPostgreSQL:
        def test_without_its_programs_says_what_to_run(self, kept_site: Site, tmp_path: Path):
            refused = kept_site.manage("backup", str(tmp_path / "b"), env={"PATH": "/nonexistent"})
            assert refused.returncode == 1
            assert "pg_dump is not installed here" in refused.stderr
            assert "pg_dump --format=custom --no-password --file=FILE DATABASE" in refused.stderr
            assert not list(tmp_path.glob("b*"))

        def test_shows_its_password_in_no_command_line(self, kept_site: Site, tmp_path: Path):
            """In the place of its programs stand some that note down how they are called."""
            programs = tmp_path / "bin"
            programs.mkdir()
            for name in ("pg_dump", "pg_restore"):
                script = programs / name
                script.write_text(f'#!/bin/sh\necho "{name} $* [$PGPASSWORD $PGSSLMODE]" >> {tmp_path}/calls\n')
                script.chmod(0o755)
            url = kept_site.env["DATABASE_URL"].replace("@", ":s3cret@", 1) + "?sslmode=prefer"
            done = kept_site.manage(
                "backup", str(tmp_path / "b"), env={"PATH": f"{programs}:/bin", "DATABASE_URL": url}
            )
            assert done.returncode == 0, done.stderr
            dump, check = (tmp_path / "calls").read_text().splitlines()
            assert dump.endswith("[s3cret prefer]")
            assert "s3cret" not in dump.partition("[")[0] + check
            assert f"--file={tmp_path}/b.part" in dump


def test_what_a_url_says_of_tls_is_kept(tmp_path: Path):
    """Beside the pool, which is ours."""
    site = Site(tmp_path, {"DATABASE_URL": "postgres://gw@db.example/gw?sslmode=verify-full"})
    options: Any = site.printed("from django.conf import settings; print(settings.DATABASES['default']['OPTIONS'])")
    assert "'sslmode': 'verify-full'" in options
    assert "'pool'" in options
