"""An engineer at the admin, over HTTP: takes the forms as the pages show them, fills them in, sends them back."""

import html
import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

import httpx

from tests.admin import pages

ERRORS = re.compile(r'<ul class="errorlist[^>]*>(.*?)</ul>', re.DOTALL)


@dataclass
class Form:
    """What a page would send if nothing were typed, its CSRF token included."""

    address: str
    fields: dict[str, Any] = field(default_factory=dict)
    choices: dict[str, dict[str, str]] = field(default_factory=dict)
    """Of each list: what is shown, and what is sent for it."""

    def choice(self, name: str, shown: str) -> str:
        """What to send for the choice whose text begins so."""
        return next(value for text, value in self.choices[name].items() if text.startswith(shown))

    def add_row(self, prefix: str, **row: Any) -> None:
        """As “Add another” does."""
        pages.add_row(self.fields, prefix, **row)

    def change_row(self, prefix: str, index: int, **row: Any) -> None:
        """Type into a row that is there."""
        pages.change_row(self.fields, prefix, index, **row)


class FormParser(HTMLParser):
    """Reads the one form of an admin page that is neither the way out nor a filter."""

    def __init__(self, address: str) -> None:
        super().__init__()
        self.form = Form(address)
        self._is_inside = False
        self._select = self._option = self._textarea = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "form":
            self._is_inside = str(given.get("id")).endswith(("_form", "login-form"))
        elif self._is_inside and (begin := getattr(self, f"_begin_{tag}", None)):
            begin(str(given.get("name")), given)

    def handle_data(self, data: str) -> None:
        if self._textarea:
            self.form.fields[self._textarea] += data.strip()
        elif self._select and data.strip():
            self.form.choices[self._select][data.strip()] = self._option

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._is_inside = False
        self._select = "" if tag == "select" else self._select
        self._textarea = "" if tag == "textarea" else self._textarea

    def _begin_input(self, name: str, given: dict[str, str | None]) -> None:
        kind, value = given.get("type"), given.get("value")
        if kind == "checkbox" and "checked" in given:
            self.form.fields[name] = value or "on"
        elif kind not in ("checkbox", "submit"):
            self.form.fields[name] = value or ""

    def _begin_select(self, name: str, _: dict[str, str | None]) -> None:
        self._select = name
        self.form.choices[name] = {}

    def _begin_option(self, _: str, given: dict[str, str | None]) -> None:
        self._option = given.get("value") or ""
        if "selected" in given or self._select not in self.form.fields:
            self.form.fields[self._select] = self._option

    def _begin_textarea(self, name: str, _: dict[str, str | None]) -> None:
        self._textarea = name
        self.form.fields[name] = ""


class Engineer:
    """One who is at the admin with a browser."""

    def __init__(self, browser: httpx.AsyncClient) -> None:
        self._browser = browser

    async def log_in(self, name: str, password: str) -> None:
        """Through the login page, as a stranger is sent there."""
        form = await self.open("/admin/login/?next=/admin/")
        form.fields |= {"username": name, "password": password}
        answer = await self.send(form)
        assert (answer.status_code, answer.headers["location"]) == (302, "/admin/"), complaints(answer)

    async def open(self, address: str) -> Form:
        """The form of a page, or of the one to which it leads on."""
        page = await self._browser.get(address, follow_redirects=True)
        assert page.status_code == 200, (address, page.status_code)
        parser = FormParser(page.url.raw_path.decode())
        parser.feed(page.text)
        parser.close()
        return parser.form

    async def send(self, form: Form) -> httpx.Response:
        """Press the button."""
        return await self._browser.post(form.address, data=form.fields)

    async def save(self, form: Form) -> None:
        """Press Save; all must have been taken."""
        answer = await self.send(form)
        assert answer.status_code == 302, complaints(answer)


def complaints(page: httpx.Response) -> list[str]:
    """What a page has against what was typed."""
    return [html.unescape(re.sub(r"<.*?>", "", each)).strip() for each in ERRORS.findall(page.text)]
