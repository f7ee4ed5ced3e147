"""Does any package that the gateway runs on have a known vulnerability? Says so as well where nobody can be asked."""

import json
import subprocess
import sys

COMMAND = (sys.executable, "-m", "pip_audit", "-r", "requirements.txt", "-f", "json", "--progress-spinner", "off")
LIMIT_S = 300


def main() -> int:
    """1 for a vulnerable package, or where the audit itself failed."""
    asked = subprocess.run(COMMAND, capture_output=True, text=True, timeout=LIMIT_S, check=False)  # noqa: S603
    try:
        packages = json.loads(asked.stdout)["dependencies"]
    except ValueError:
        print(f"the packages could not be audited: {asked.stderr.strip()[-500:]}")
        return 1
    audited = [package for package in packages if "skip_reason" not in package]
    found = [(package, flaw) for package in audited for flaw in package["vulns"]]
    for package, flaw in found:
        print(f"{package['name']} {package['version']}: {flaw['id']}, mended in {', '.join(flaw['fix_versions'])}")
    if not audited:
        print(f"No advisories can be had from this package index: none of {len(packages)} packages was audited.")
    else:
        print(f"{len(audited)} of {len(packages)} packages audited, {len(found)} known vulnerabilities.")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
