"""The admin as this site has it: who may enter, and the login page that all pages share."""

from typing import Any
from urllib.parse import urlsplit

from django.contrib.admin import AdminSite
from django.contrib.auth.views import LogoutView
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from devices.control.rights import may_enter_admin
from devices.live.language import speaking, told

OWN_PAGES = frozenset({"logout", "password_change", "password_change_done"})
"""For everybody who is logged in: nothing stands there but his own password."""


class GatewaySite(AdminSite):
    """Everybody logs in here; the admin's other pages are for those who may enter it."""

    login_template = "live/login.html"
    site_header = "PLC gateway"
    site_title = "PLC gateway"
    index_title = "Machines, commands, runs"
    enable_nav_sidebar = False  # the tables of tags and steps need the width

    def has_permission(self, request: HttpRequest) -> bool:
        """Asked anew at each request: who was taken out meanwhile is out."""
        match = request.resolver_match
        if match is not None and match.app_name == "admin" and match.url_name in OWN_PAGES:
            return request.user.is_authenticated and request.user.is_active
        return may_enter_admin(request.user)

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Whoever is logged in and has no business where he would go is led to the live page: no login helps him."""
        if request.method != "POST" and self._shuts_out(request, request.GET.get("next", "")):
            return HttpResponseRedirect(str(self.site_url))
        with speaking(request) as language:
            answer: HttpResponse = super().login(request, extra_context)
            render = getattr(answer, "render", None)  # a page is written late: in the wrong language otherwise
            if render is not None:
                render()
        if answer.status_code == 302 and self._shuts_out(request, answer.headers["Location"]):
            answer.headers["Location"] = str(self.site_url)
        return told(answer, language)

    def logout(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:  # noqa: ARG002
        """On to the live page, or to the way in again."""
        return LogoutView.as_view(next_page="live")(request)

    def _shuts_out(self, request: HttpRequest, address: str) -> bool:
        """Whether this person, logged in, would only be sent from there to the login again."""
        page = _path(address)
        is_of_admin = page.startswith(reverse("admin:index"))
        is_own = page in {reverse(f"admin:{name}") for name in OWN_PAGES}
        return request.user.is_authenticated and is_of_admin and not is_own and not may_enter_admin(request.user)


def _path(address: str) -> str:
    """Empty of what is no address: somebody typed it."""
    try:
        return urlsplit(address).path
    except ValueError:
        return ""
