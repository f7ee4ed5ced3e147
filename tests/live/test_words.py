"""The pages in Simplified Chinese: nothing is left in English, and what is compiled is what was translated."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import polib
import pytest
from django.contrib.staticfiles import finders
from django.utils.translation.trans_real import DjangoTranslation

import devices
from tests.live import untranslated
from tests.serving.process import ROOT, child_environment

DEVICES = Path(devices.__file__).parent
CATALOGUES = DEVICES / "locale" / "zh_Hans" / "LC_MESSAGES"
DOMAINS = ("django", "djangojs")
SCRIPTS = sorted(Path(str(finders.find("live/live.js"))).parent.glob("*.js"))
TEMPLATES = sorted((DEVICES / "live" / "templates").rglob("*.html"))

SAME = {"PLC", "CSV", "+%s", "“%s”"}
"""What a Chinese engineer writes alike."""

domains = pytest.mark.parametrize("domain", DOMAINS)


def catalogue(domain: str) -> polib.POFile:
    return polib.pofile(str(CATALOGUES / f"{domain}.po"))


def translations(entry: polib.POEntry) -> list[str]:
    return list(entry.msgstr_plural.values()) if entry.msgid_plural else [entry.msgstr]


def placeholders(text: str) -> list[str]:
    return sorted(re.findall(r"%\(\w+\)s|%[sd]", text))


@pytest.fixture(scope="module")
def marked(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """The texts that scripts and templates mark now, gathered beside the catalogues."""
    if shutil.which("xgettext") is None:
        pytest.skip("no xgettext: apt-get install gettext")
    copy = tmp_path_factory.mktemp("words")
    away = shutil.ignore_patterns("admin", "vendor", "locale", "__pycache__")
    shutil.copytree(DEVICES, copy / "devices", ignore=away)
    (copy / "devices" / "locale").mkdir()
    for domain in DOMAINS:
        command = [sys.executable, str(ROOT / "manage.py"), "makemessages", "-l", "zh_Hans", "-d", domain]
        subprocess.run(command, cwd=copy / "devices", env=child_environment(copy), check=True, capture_output=True)
    found = {domain: copy / "devices/locale/zh_Hans/LC_MESSAGES" / f"{domain}.po" for domain in DOMAINS}
    return {domain: {entry.msgid for entry in polib.pofile(str(path))} for domain, path in found.items()}


class TestTheChineseCatalogue:
    @domains
    def test_holds_exactly_the_texts_of_the_pages(self, domain, marked):
        assert {entry.msgid for entry in catalogue(domain)} == marked[domain], "run `make words`, then translate"

    @domains
    def test_translates_each_of_them(self, domain):
        entries = catalogue(domain)
        assert [entry.msgid for entry in entries if not all(translations(entry)) or entry.fuzzy or entry.obsolete] == []
        assert {entry.msgid for entry in entries if entry.msgid in translations(entry)} <= SAME

    @domains
    def test_keeps_every_placeholder(self, domain):
        for entry in catalogue(domain):
            wanted = placeholders(entry.msgid_plural or entry.msgid)
            assert [placeholders(text) for text in translations(entry)] == [wanted], entry.msgid

    @domains
    def test_is_what_pages_say_though_admin_has_some_of_the_same_texts(self, domain):
        spoken = DjangoTranslation("zh-hans", domain=domain)
        others = {
            entry.msgid
            for entry in catalogue(domain)
            if not entry.msgid_plural and spoken.gettext(entry.msgid) != entry.msgstr
        }
        assert others == set(), "reword them: the admin's translation goes first"

    @domains
    def test_is_compiled_as_it_stands(self, domain):
        compiled = polib.mofile(str(CATALOGUES / f"{domain}.mo"))
        held = {entry.msgid: translations(entry) for entry in compiled}
        assert held == {entry.msgid: translations(entry) for entry in catalogue(domain)}, "run `make words`"


class TestAPage:
    @pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
    def test_leaves_no_text_of_its_scripts_in_english(self, script):
        assert untranslated.in_script(script.read_text()) == []

    @pytest.mark.parametrize("template", TEMPLATES, ids=lambda template: template.name)
    def test_leaves_no_text_of_its_templates_in_english(self, template):
        assert untranslated.in_template(template.read_text()) == []

    @pytest.mark.parametrize(
        "line",
        [
            'el("p", { class: "note" }, "paused")',
            'el("p", { class: "note" }, `run ${id}`)',
            'button.title = "close"',
            'const says = "Not there";',
            "const says = `${count} more waiting`;",
            'tell({ word: "Paused", tone: "warn" })',
            'el("input", { "aria-label": "Search all tags" })',
        ],
    )
    def test_would_be_found_out_by_a_line_as(self, line):
        assert len(untranslated.in_script(line)) == 1

    @pytest.mark.parametrize("text", ["<p>{% now %} ago</p>", '<img alt="The line">', "<b>\n  Runs\n</b>"])
    def test_would_be_found_out_by_a_template_with(self, text):
        assert len(untranslated.in_template(text)) == 1
