"""What the documents say is so: settings, states, layout, links."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from devices.api.problems import OUTCOMES
from devices.models import State
from devices.models.roles import ROLES

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
OF_THE_SYSTEM = {"HOME", "XDG_DATA_HOME"}
"""Variables that every computer sets, and no operator of a gateway."""
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])


def section(title: str) -> str:
    return README.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def rows(text: str) -> Iterator[list[str]]:
    """The cells of a table's rows, without its head."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return ([cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:])


class TestReadme:
    def test_lists_every_setting_and_no_other(self):
        told = [cells[0].strip("`") for cells in rows(section("Configuration"))]
        code = "".join(path.read_text() for path in (ROOT / "plcsite").glob("*.py"))
        read = set(re.findall(r'env\.\w+\("([A-Z_]+)"', code))
        assert sorted(told) == sorted(read - OF_THE_SYSTEM)

    def test_tells_the_status_of_each_outcome(self):
        told = {cells[0].strip("`"): int(cells[3].split()[0]) for cells in rows(section("What the answer means"))}
        expected = {state.value: problem.status for state, problem in OUTCOMES.items()} | {State.SUCCEEDED.value: 200}
        assert told.items() <= expected.items()
        assert told

    def test_shows_every_room_and_no_other(self):
        tree = section("Layout").split("```")[1]
        told = {line.split()[0].strip("/") for line in tree.splitlines() if line.startswith("devices/")}
        rooms = {f"devices/{path.parent.name}" for path in ROOT.glob("devices/*/__init__.py")}
        assert told == rooms - {"devices/migrations"}

    @pytest.mark.parametrize("mark", ["demo-command", "test-command"])
    def test_gives_each_of_its_two_commands_in_one_line(self, mark: str):
        block = README.partition(f"<!-- {mark} -->\n```\n")[2].partition("\n```")[0]
        assert block.startswith("python3 -m venv .venv && ")
        assert "\n" not in block


class TestSecurity:
    def test_tells_what_each_role_may_do_with_plcs(self):
        table = (ROOT / "docs" / "security.md").read_text().partition("\n## Roles\n")[2].partition("\n* ")[0]
        told = {group: may.partition(":")[0] for group, may, _ in rows(table)}
        assert told == {role.value: ", ".join(spec.rights) or "nothing" for role, spec in ROLES.items()}


class TestDocuments:
    @pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
    def test_link_to_files_that_exist(self, document: Path):
        links = re.findall(r"\]\(([^)#]+)[^)]*\)", document.read_text())
        assert [link for link in links if "://" not in link and not (document.parent / link).exists()] == []

    @pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
    def test_name_files_of_the_code_that_exist(self, document: Path):
        """`control/outcomes.py` may leave out the `devices/` before it."""
        named = re.findall(r"`((?:[a-z_]+/)+[a-z_]+\.py)`", document.read_text())
        assert [name for name in named if not ((ROOT / name).exists() or (ROOT / "devices" / name).exists())] == []
