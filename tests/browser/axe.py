"""axe-core looks a page over for what keeps people with a disability out."""

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page

HOME = Path(__file__).resolve().parent.parent / "counterparts"
SCRIPT = HOME / "node_modules" / "axe-core" / "axe.min.js"
HOW_TO_GET_IT = "no axe-core: npm install --no-package-lock --prefix tests/counterparts"

GRAVE = ("serious", "critical")
RUN = """async () => {
  const found = await axe.run(document, { resultTypes: ["violations"] });
  return found.violations.map(({ id, impact, help, nodes }) => ({
    id, impact, help, places: nodes.map(({ target, failureSummary }) => `${target.join(" ")}: ${failureSummary}`),
  }));
}"""


def violations(page: Page) -> list[str]:
    """What is grave on the page as it is now: the rule, and each place with what to do there."""
    if not SCRIPT.is_file():
        pytest.skip(HOW_TO_GET_IT)
    # Not as a script element: the page's policy forbids those.
    page.evaluate(SCRIPT.read_text())
    found: list[dict[str, Any]] = page.evaluate(RUN)
    return [_told(one) for one in found if one["impact"] in GRAVE]


def _told(violation: dict[str, Any]) -> str:
    places = "\n  ".join(violation["places"])
    return f"{violation['impact']}, {violation['id']}: {violation['help']}\n  {places}"
