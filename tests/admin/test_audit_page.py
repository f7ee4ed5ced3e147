"""An auditor reads what was done, finds it, takes it along; and changes nothing."""

import csv
import html
import io
import re

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import Permission, User
from django.test import AsyncClient, Client
from django.utils import timezone

from devices.control.actors import Actor
from devices.control.audit import Deed, append
from devices.control.audit_chain import walk
from devices.control.audit_table import Export
from devices.models import Action, AuditEntry, Role
from tests.admin.people import browser_of, member
from tests.control.chain import newest, told
from tests.models import rows

LIST = "/admin/devices/auditentry/"
ANNA, BOB = Actor(name="user anna", source="10.0.0.7"), Actor(name="user bob", source="10.0.0.8")


@pytest.fixture
def auditor(transactional_db) -> Client:
    """Django's own permission is enough."""
    user = User.objects.create_user("audrey", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_auditentry"))
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def entry(transactional_db) -> AuditEntry:
    append(
        Deed(
            action=Action.CHANGED,
            kind="PLC",
            subject="press-1",
            subject_id="7",
            before={"host": "10.1.0.7", "labels": {"1": "on"}, "is_enabled": True, "title": ""},
            after={"host": "<b>10.1.0.8</b>", "labels": {"1": "off"}, "is_enabled": False, "title": "\u202ePress"},
            by=ANNA,
        )
    )
    append(Deed(action=Action.LOGIN_FAILED, kind="User", subject='=cmd|" /C calc"!A0', by=BOB))
    return told(kind="PLC")[0]


def cells(page: str) -> list[list[str]]:
    """Of the table of what changed."""
    table = page.partition('class="record changed"')[2].partition("</table>")[0]
    lines = re.findall(r"<tr>(.*?)</tr>", table.partition("<tbody>")[2], re.DOTALL)
    return [
        [
            html.unescape(re.sub(r"<[^>]*>", "", cell)).strip()
            for cell in re.findall(r"<t[dh].*?</t[dh]>", line, re.DOTALL)
        ]
        for line in lines
    ]


class TestAnEntry:
    def test_shows_before_and_after_side_by_side(self, auditor, entry):
        page = auditor.get(f"{LIST}{entry.pk}/change/").content.decode()
        assert sorted(cells(page)) == [
            ["host", "10.1.0.7", "<b>10.1.0.8</b>"],
            ["is_enabled", "true", "false"],
            ["labels", '{"1": "on"}', '{"1": "off"}'],
            ["title", "-", "\\u202ePress"],
        ]
        assert "<b>10.1.0.8" not in page
        for text in ("user anna", "10.0.0.7", "press-1", entry.digest, entry.previous):
            assert text in page

    def test_leads_to_what_it_tells_of_while_that_is_there(self, auditor, entry):
        plc = rows.stored(rows.plc(rows.stored(rows.profile())))
        link = f'<a href="/admin/devices/plc/{plc.pk}/change/">PLC {plc.name}</a>'
        address = f"{LIST}{newest(kind='PLC').pk}/change/"
        assert link in auditor.get(address).content.decode()
        plc.delete()
        assert link not in auditor.get(address).content.decode()

    @pytest.mark.parametrize("stored", ["[1]", "no JSON", '{"a": 1', '"text"', ""])
    def test_that_was_tampered_with_is_shown_all_the_same(self, auditor, entry, stored):
        AuditEntry.objects.bulk_create(
            [AuditEntry(actor="x", action="changed", previous="0", digest="1", before=stored)]
        )
        assert auditor.get(f"{LIST}{newest(digest='1').pk}/change/").status_code == 200
        assert auditor.get(LIST).status_code == 200


class TestNobody:
    @pytest.mark.parametrize("who", ["auditor", "engineer"])
    def test_adds_changes_or_deletes_here_not_even_a_superuser(self, request, entry, who):
        client, before = request.getfixturevalue(who), walk()
        for page in ("add/", f"{entry.pk}/change/", f"{entry.pk}/delete/"):
            assert client.post(LIST + page, {"actor": "user bob", "post": "yes"}).status_code == 403
        client.post(LIST, {"action": "delete_selected", "_selected_action": [entry.pk], "post": "yes"})
        assert told(pk=entry.pk)[0].actor == "user anna"
        assert walk(before).count >= before.count
        page = client.get(f"{LIST}{entry.pk}/change/").content.decode()
        assert 'name="_save"' not in page
        assert "deletelink" not in page

    def test_reads_it_without_the_permission(self, entry, transactional_db):
        client = Client()
        client.force_login(User.objects.create_user("operator", is_staff=True))
        for page in ("", f"{entry.pk}/change/"):
            assert client.get(LIST + page).status_code == 403
        count = len(told())
        assert client.post(f"{LIST}export/").status_code == 403
        assert len(told()) == count


class TestTheList:
    @pytest.mark.parametrize(
        "found",
        ["", "?action__exact=changed", "?kind=PLC", "?actor=user+anna", "?q=10.1.0.8", "?q=press-1", "?q=user+anna"],
    )
    def test_finds_an_entry(self, auditor, entry, found):
        assert f"{LIST}{entry.pk}/change/" in auditor.get(LIST + found).content.decode()

    @pytest.mark.parametrize(
        "other",
        [
            "?action__exact=deleted",
            "?kind=Tag",
            "?actor=user+bob",
            "?q=oven",
            "?since=2999-01-01",
            "?until=2001-01-01",
            "?since=2001-01-01&until=2001-12-31",
        ],
    )
    def test_leaves_out_others(self, auditor, entry, other):
        assert f"{LIST}{entry.pk}/change/" not in auditor.get(LIST + other).content.decode()

    def test_finds_the_entries_of_a_day(self, auditor, entry):
        day = timezone.localtime(entry.at).date()
        page = auditor.get(f"{LIST}?kind=PLC&since={day}&until={day}").content.decode()
        assert f"{LIST}{entry.pk}/change/" in page
        assert f'name="since" value="{day}"' in page
        assert '<input type="hidden" name="kind" value="PLC">' in page

    @pytest.mark.parametrize("day", ["tomorrow", "2026-13-40", "0001-01-01", "9999-12-31"])
    def test_says_that_a_day_is_none(self, auditor, entry, day):
        assert auditor.get(f"{LIST}?since={day}")["Location"].endswith("?e=1")

    def test_offers_to_export_what_it_shows(self, auditor, entry):
        assert "Export all (CSV)" in auditor.get(LIST).content.decode()
        page = html.unescape(auditor.get(f"{LIST}?kind=PLC&since=2001-01-01").content.decode())
        assert "Export these entries (CSV)" in page
        assert f'action="{LIST}export/?kind=PLC&since=2001-01-01"' in page

    def test_says_what_changed_in_short(self, auditor, entry):
        page = html.unescape(auditor.get(LIST).content.decode())
        assert "host: 10.1.0.7 → <b>10.1.0.8</b>; is_enabled: true → false" in page


class TestAnExport:
    @pytest.fixture
    def export(self, auditor, entry):
        """The lines of a table, over the asynchronous way that the server goes."""
        client = AsyncClient()
        client.cookies = auditor.cookies

        async def fetch(query: str) -> tuple[str, str]:
            answer = await client.post(f"{LIST}export/{query}")
            assert answer.status_code == 200
            text = b"".join([piece async for piece in answer.streaming_content]).decode()
            return text, answer["Content-Disposition"]

        return async_to_sync(fetch)

    def test_holds_what_the_list_holds_and_can_be_checked(self, export, entry):
        text, name = export("?kind=PLC")
        head, line = csv.reader(io.StringIO(text))
        row = dict(zip(head, line, strict=True))
        assert (row["number"], row["who"], row["from"], row["subject"]) == (
            str(entry.pk),
            "user anna",
            "10.0.0.7",
            "press-1",
        )
        assert (row["before"], row["digest"], row["time"]) == (entry.before, entry.digest, entry.at.isoformat())
        assert re.search(r'filename="audit-\d{8}T\d{6}Z\.csv"', name)

    def test_holds_all_where_nothing_is_chosen_oldest_first(self, export):
        numbers = [int(line[0]) for line in csv.reader(io.StringIO(export("")[0])) if line[0] != "number"]
        assert numbers == [entry.pk for entry in told() if entry.action != "exported"]

    def test_carries_no_formula(self, export):
        assert "'=cmd|" in export("?kind=User")[0]
        cells = [cell for line in csv.reader(io.StringIO(export("")[0])) for cell in line]
        assert [cell for cell in cells if cell.startswith(("=", "+", "-", "@"))] == []

    def test_is_told(self, export):
        export("?kind=PLC&q=press")
        entry = newest()
        assert (entry.action, entry.actor, entry.source) == ("exported", "user audrey", "127.0.0.1")
        assert entry.detail == "1 entries: those with kind=PLC, q=press"
        assert walk().count == len(told())

    def test_needs_more_than_a_link(self, auditor, entry):
        """Else any page could have an auditor's browser ask for exports, each of them an entry."""
        count = len(told())
        assert auditor.get(f"{LIST}export/").status_code == 405
        strict = Client(enforce_csrf_checks=True)
        strict.cookies = auditor.cookies
        assert strict.post(f"{LIST}export/").status_code == 403
        assert len(told()) == count

    def test_that_is_cut_says_so(self, entry):
        export = Export(AuditEntry.objects.all(), narrowed="")
        lines = "".join(export.texts(limit=1)).splitlines()
        assert len(lines) == 3
        assert lines[-1].startswith("# cut: after 1 rows")

    def test_goes_page_by_page(self, entry, monkeypatch):
        monkeypatch.setattr("devices.control.audit_table.PAGE", 1)
        pieces = list(Export(AuditEntry.objects.all(), narrowed="").texts())
        assert len(pieces) == 1 + len([entry for entry in told() if entry.action != "exported"])
        assert [piece.count("\n") for piece in pieces] == [1] * len(pieces)


class TestTheHistoryOfAThing:
    def test_is_what_the_audit_has_of_it_alone(self, roles):
        profile = rows.stored(rows.profile())
        plc = rows.stored(rows.plc(profile))
        other = rows.stored(rows.plc(profile, name="oven-7"))
        plc.title = "Press"
        plc.save()
        answer = browser_of(member(Role.AUDITOR)).get(f"/admin/devices/plc/{plc.pk}/history/", follow=True)
        shown = answer.context["cl"].result_list
        assert [(entry.kind, entry.subject_id) for entry in shown] == [("PLC", str(plc.pk))] * 2
        assert other.name not in [entry.subject for entry in shown]

    def test_is_django_s_for_who_may_not_read_the_audit(self, roles):
        plc = rows.stored(rows.plc(rows.stored(rows.profile())))
        answer = browser_of(member(Role.ENGINEER)).get(f"/admin/devices/plc/{plc.pk}/history/")
        assert answer.status_code == 200
        assert "Change history" in answer.content.decode()
