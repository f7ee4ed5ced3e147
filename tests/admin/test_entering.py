"""Who enters the admin, and what its first page shows him."""

import re

import pytest
from django.contrib.auth.models import AnonymousUser, Group, User
from django.test import Client

from devices.control.rights import may_enter_admin
from devices.models import Role
from tests.admin.people import browser_of, member

pytestmark = pytest.mark.usefixtures("roles")

ADMIN = "/admin/"
PASSWORD = "a long pass phrase"

SHOWN = {
    Role.VIEWER: set(),
    Role.OPERATOR: set(),
    Role.ENGINEER: {"profile", "tag", "command", "plc", "run"},
    Role.AUDITOR: {"profile", "tag", "command", "plc", "run", "apikey", "grant", "user", "group"},
    Role.SECURITY: {"apikey", "grant", "user", "group"},
}


def kinds_on(page: str) -> set[str]:
    """Those whose lists it links to."""
    return set(re.findall(r'href="/admin/(?:devices|auth)/([a-z]+)/"', page))


class TestFirstPage:
    @pytest.mark.parametrize("role", SHOWN)
    def test_shows_each_role_its_own(self, role):
        answer = browser_of(member(role)).get(ADMIN)
        assert answer.status_code == 200
        assert kinds_on(answer.content.decode()) - {"auditentry", "lockout"} == SHOWN[role]

    def test_shows_a_superuser_all(self, transactional_db):
        page = browser_of(User.objects.create_superuser("boss")).get(ADMIN).content.decode()
        assert kinds_on(page) >= SHOWN[Role.AUDITOR]


class TestAccountOfAMES:
    @pytest.mark.parametrize("is_superuser", [False, True])
    def test_does_not_enter(self, is_superuser):
        mes = member(Role.MES, is_superuser=is_superuser)
        site = browser_of(mes)
        for page in ("", "devices/plc/", "devices/run/", "auth/user/", "devices/plc/add/"):
            assert site.get(ADMIN + page)["Location"].startswith("/admin/login/?next=")
        assert site.post(f"{ADMIN}auth/user/{mes.pk}/change/", {"username": "x"})["Location"].startswith(
            "/admin/login/"
        )
        assert User.objects.get().username == "mes-account"

    def test_is_out_as_soon_as_it_is_one(self, transactional_db):
        user = member(Role.ENGINEER)
        site = browser_of(user)
        assert site.get(ADMIN).status_code == 200
        user.groups.add(Group.objects.get(name=Role.MES))
        assert site.get(ADMIN).status_code == 302


class TestOthers:
    def test_see_only_the_login_page(self, transactional_db):
        for page in ("", "devices/plc/", "devices/run/", "password_change/", "jsi18n/", "r/1/1/", "nothing/"):
            answer = Client().get(ADMIN + page)
            assert answer["Location"].startswith("/admin/login/?next=")

    @pytest.mark.parametrize("fields", [{"is_staff": False}, {"is_active": False}])
    def test_who_are_not_staff_or_not_active_do_not_enter(self, fields):
        user = member(Role.ENGINEER, **fields)
        assert not may_enter_admin(user)
        assert browser_of(user).get(ADMIN).status_code == 302

    def test_who_are_nobody_do_not_enter(self, transactional_db):
        assert not may_enter_admin(None)
        assert not may_enter_admin(AnonymousUser())


class TestLogin:
    """One page for all: an operator has no business in the admin, and logs in there as everybody does."""

    @pytest.fixture
    def operator(self, roles) -> User:
        return User.objects.create_user("olga", password=PASSWORD)

    def log_in(self, name: str, address: str = "/admin/login/", **typed: str) -> tuple[Client, str]:
        site = Client()
        answer = site.post(address, {"username": name, "password": PASSWORD, **typed})
        return site, answer.get("Location", "")

    def test_leads_to_where_one_wanted(self, operator):
        assert self.log_in("olga", "/admin/login/?next=/plcs/press-1")[1] == "/plcs/press-1"

    def test_leads_to_the_live_page_who_has_no_business_in_the_admin(self, operator):
        assert self.log_in("olga", next="/admin/")[1] == "/"
        operator.is_staff = True
        operator.save()
        assert self.log_in("olga", next="/admin/")[1] == "/admin/"

    @pytest.mark.parametrize("page", ["/admin/", "/admin/devices/plc/", "/admin/nowhere/"])
    def test_is_no_dead_end_of_a_link_into_the_admin(self, operator, page):
        site, address = self.log_in("olga", next=page)
        assert address == "/"
        answer = site.get(page, follow=True)
        assert answer.redirect_chain[-1] == ("/", 302)
        assert answer.status_code == 200

    def test_leads_everybody_to_his_own_pages(self, operator):
        site, address = self.log_in("olga", next="/admin/password_change/")
        assert address == "/admin/password_change/"
        assert site.get("/admin/login/?next=/admin/password_change/").status_code == 200

    def test_lets_another_person_log_in_at_this_browser(self, operator):
        User.objects.create_user("otto", password=PASSWORD)
        site, _ = self.log_in("olga")
        assert "id_username" in site.get("/admin/login/").content.decode()
        assert site.post("/admin/login/", {"username": "otto", "password": "wrong"}).status_code == 200
        site.post("/admin/login/", {"username": "otto", "password": PASSWORD})
        assert site.session["_auth_user_id"] == str(User.objects.get(username="otto").pk)

    def test_of_a_bad_address_is_a_form(self, operator):
        assert self.log_in("olga")[0].get("/admin/login/?next=http://[").status_code == 200

    def test_leads_to_no_other_site(self, operator):
        assert self.log_in("olga", next="https://elsewhere.example/")[1] == "/"

    def test_is_refused_to_who_was_disabled(self, operator):
        operator.is_active = False
        operator.save()
        site, address = self.log_in("olga")
        assert address == ""
        assert "_auth_user_id" not in site.session

    def test_is_ended_and_its_password_changed_by_everybody(self, operator):
        site, _ = self.log_in("olga")
        assert site.get("/admin/password_change/").status_code == 200
        new = {"old_password": PASSWORD, "new_password1": "quite another one", "new_password2": "quite another one"}
        assert site.post("/admin/password_change/", new)["Location"] == "/admin/password_change/done/"
        assert User.objects.get().check_password("quite another one")
        assert site.post("/admin/logout/")["Location"] == "/"
        assert "_auth_user_id" not in site.session
