"""manage.py verify_audit, on a database of its own that the migrations have made."""

from pathlib import Path

import pytest

from devices.models import audit_guard
from tests.management.own_site import Site
from tests.serving.process import manage

ADD = "from django.contrib.auth.models import User; [User.objects.create_user(f'u{n}') for n in range(3)]"


class TestVerifyAudit:
    def test_on_a_database_as_migrated(self, site: Site) -> None:
        assert site.python(ADD).returncode == 0
        fit = site.manage("verify_audit")
        assert (fit.returncode, fit.stderr) == (0, "")
        assert fit.stdout.startswith("All 3 audit entries fit.")
        noted = fit.stdout.splitlines()[-1]
        assert noted.startswith("3:")

        told = site.python("from devices.models import AuditEntry; print({e.actor for e in AuditEntry.objects.all()})")
        assert "{'shell shell'}" in told.stdout

        for statement in ("UPDATE devices_auditentry SET actor = 'x'", "DELETE FROM devices_auditentry"):
            refused = site.sql(statement)
            assert refused.returncode != 0
            assert audit_guard.REFUSAL in refused.stderr
        assert site.manage("verify_audit", "--expect", noted).returncode == 0

        # Whoever is master of the database takes the triggers down: that is seen too.
        assert site.manage("migrate", "devices", "0005", "--verbosity", "0").returncode == 0
        unguarded = site.manage("verify_audit")
        assert unguarded.returncode == 1
        assert "has lost the triggers" in unguarded.stderr

        assert site.sql("DELETE FROM devices_auditentry WHERE subject = 'u2'").returncode == 0
        cut = site.manage("verify_audit", "--expect", noted)
        assert cut.returncode == 1
        assert "ends after 2 entries, and had 3" in cut.stderr

        assert site.sql("UPDATE devices_auditentry SET actor = 'user bob' WHERE subject = 'u0'").returncode == 0
        assert site.manage("migrate", "--verbosity", "0").returncode == 0
        changed = site.manage("verify_audit")
        assert (changed.returncode, changed.stdout) == (1, "")
        assert "The audit was tampered with: entry " in changed.stderr
        assert "was changed" in changed.stderr

    @pytest.mark.parametrize("wrong", ["3", "3:abc", "x:" + "0" * 64])
    def test_says_what_is_to_be_expected(self, tmp_path: Path, wrong: str) -> None:
        refused = manage(tmp_path, "verify_audit", "--expect", wrong)
        assert refused.returncode == 2
        assert "must be COUNT:DIGEST" in refused.stderr
