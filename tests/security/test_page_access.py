"""Who gets what from each page, the admin's included; a page without a row fails."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.apps import apps
from django.contrib.contenttypes.models import ContentType
from django.urls import get_resolver

from devices.api import api
from devices.models import PLC, LockOut
from tests.api.callers import put
from tests.security.callers import CALLERS, KEY, everybody

#                                                       viewer   engineer  auditor   key    revoked
#                                              anonymous  | operator |  MES   | security | other |
#                                                      |  |   |   |   |   |   |   |   |   |   |
ANSWERS = """
/                                                            302 200 200 200 200 200 200 302 302 302
admin/                                                       302 200 200 200 302 200 200 302 302 302
admin/(?P<url>.*)$                                           302 404 404 404 302 404 404 302 302 302
admin/^(?P<app_label>devices|auth)/$                         302 404 404 200 302 200 200 302 302 302
admin/auth/group/                                            302 403 403 403 302 200 200 302 302 302
admin/auth/group/<path:object_id>/                           302 302 302 302 302 302 302 302 302 302
admin/auth/group/<path:object_id>/change/                    302 403 403 403 302 200 200 302 302 302
admin/auth/group/<path:object_id>/delete/                    302 403 403 403 302 403 403 302 302 302
admin/auth/group/<path:object_id>/history/                   302 403 403 403 302 302 200 302 302 302
admin/auth/group/add/                                        302 403 403 403 302 403 200 302 302 302
admin/auth/user/                                             302 403 403 403 302 200 200 302 302 302
admin/auth/user/<id>/password/                               302 403 403 403 302 403 200 302 302 302
admin/auth/user/<path:object_id>/                            302 302 302 302 302 302 302 302 302 302
admin/auth/user/<path:object_id>/change/                     302 403 403 403 302 200 200 302 302 302
admin/auth/user/<path:object_id>/delete/                     302 403 403 403 302 403 403 302 302 302
admin/auth/user/<path:object_id>/history/                    302 403 403 403 302 302 200 302 302 302
admin/auth/user/add/                                         302 403 403 403 302 403 200 302 302 302
admin/autocomplete/                                          302 403 403 403 302 403 403 302 302 302
admin/devices/apikey/                                        302 403 403 403 302 200 200 302 302 302
admin/devices/apikey/<path:object_id>/                       302 302 302 302 302 302 302 302 302 302
admin/devices/apikey/<path:object_id>/change/                302 403 403 403 302 200 200 302 302 302
admin/devices/apikey/<path:object_id>/delete/                302 403 403 403 302 403 403 302 302 302
admin/devices/apikey/<path:object_id>/history/               302 403 403 403 302 302 200 302 302 302
admin/devices/apikey/add/                                    302 403 403 403 302 403 200 302 302 302
admin/devices/auditentry/                                    302 403 403 403 302 200 403 302 302 302
admin/devices/auditentry/<path:object_id>/                   302 302 302 302 302 302 302 302 302 302
admin/devices/auditentry/<path:object_id>/change/            302 403 403 403 302 200 403 302 302 302
admin/devices/auditentry/<path:object_id>/delete/            302 403 403 403 302 403 403 302 302 302
admin/devices/auditentry/<path:object_id>/history/           302 403 403 403 302 200 403 302 302 302
admin/devices/auditentry/add/                                302 403 403 403 302 403 403 302 302 302
admin/devices/auditentry/export/                             302 405 405 405 302 405 405 302 302 302
admin/devices/command/                                       302 403 403 200 302 200 403 302 302 302
admin/devices/command/<int:command_id>/pattern/              302 403 403 302 302 403 403 302 302 302
admin/devices/command/<int:command_id>/pattern/<slug:name>/  302 403 403 302 302 403 403 302 302 302
admin/devices/command/<path:object_id>/                      302 302 302 302 302 302 302 302 302 302
admin/devices/command/<path:object_id>/change/               302 403 403 200 302 200 403 302 302 302
admin/devices/command/<path:object_id>/delete/               302 403 403 200 302 403 403 302 302 302
admin/devices/command/<path:object_id>/history/              302 403 403 200 302 302 403 302 302 302
admin/devices/command/add/                                   302 403 403 302 302 403 403 302 302 302
admin/devices/command/add/pattern/                           302 403 403 404 302 403 403 302 302 302
admin/devices/command/add/pattern/<slug:name>/               302 403 403 404 302 403 403 302 302 302
admin/devices/grant/                                         302 403 403 403 302 200 200 302 302 302
admin/devices/grant/<path:object_id>/                        302 302 302 302 302 302 302 302 302 302
admin/devices/grant/<path:object_id>/change/                 302 403 403 403 302 200 200 302 302 302
admin/devices/grant/<path:object_id>/delete/                 302 403 403 403 302 403 200 302 302 302
admin/devices/grant/<path:object_id>/history/                302 403 403 403 302 302 200 302 302 302
admin/devices/grant/add/                                     302 403 403 403 302 403 200 302 302 302
admin/devices/lockout/                                       302 403 403 200 302 200 403 302 302 302
admin/devices/lockout/<path:object_id>/                      302 302 302 302 302 302 302 302 302 302
admin/devices/lockout/<path:object_id>/change/               302 403 403 200 302 200 403 302 302 302
admin/devices/lockout/<path:object_id>/delete/               302 403 403 403 302 403 403 302 302 302
admin/devices/lockout/<path:object_id>/history/              302 403 403 200 302 302 302 302 302 302
admin/devices/lockout/add/                                   302 403 403 403 302 403 403 302 302 302
admin/devices/plc/                                           302 403 403 200 302 200 403 302 302 302
admin/devices/plc/<path:object_id>/                          302 302 302 302 302 302 302 302 302 302
admin/devices/plc/<path:object_id>/change/                   302 403 403 200 302 200 403 302 302 302
admin/devices/plc/<path:object_id>/delete/                   302 403 403 200 302 403 403 302 302 302
admin/devices/plc/<path:object_id>/history/                  302 403 403 200 302 302 302 302 302 302
admin/devices/plc/add/                                       302 403 403 200 302 403 403 302 302 302
admin/devices/profile/                                       302 403 403 200 302 200 403 302 302 302
admin/devices/profile/<path:object_id>/                      302 302 302 302 302 302 302 302 302 302
admin/devices/profile/<path:object_id>/change/               302 403 403 200 302 200 403 302 302 302
admin/devices/profile/<path:object_id>/delete/               302 403 403 200 302 403 403 302 302 302
admin/devices/profile/<path:object_id>/history/              302 403 403 200 302 302 403 302 302 302
admin/devices/profile/add/                                   302 403 403 200 302 403 403 302 302 302
admin/devices/run/                                           302 403 403 200 302 200 403 302 302 302
admin/devices/run/<path:object_id>/                          302 302 302 302 302 302 302 302 302 302
admin/devices/run/<path:object_id>/change/                   302 403 403 200 302 200 403 302 302 302
admin/devices/run/<path:object_id>/delete/                   302 403 403 403 302 403 403 302 302 302
admin/devices/run/<path:object_id>/history/                  302 403 403 200 302 302 302 302 302 302
admin/devices/run/add/                                       302 403 403 403 302 403 403 302 302 302
admin/devices/tag/                                           302 403 403 200 302 200 403 302 302 302
admin/devices/tag/<path:object_id>/                          302 302 302 302 302 302 302 302 302 302
admin/devices/tag/<path:object_id>/change/                   302 403 403 200 302 200 403 302 302 302
admin/devices/tag/<path:object_id>/delete/                   302 403 403 200 302 403 403 302 302 302
admin/devices/tag/<path:object_id>/history/                  302 403 403 200 302 302 403 302 302 302
admin/devices/tag/add/                                       302 403 403 200 302 403 403 302 302 302
admin/jsi18n/                                                302 200 200 200 302 200 200 302 302 302
admin/login/                                                 200 302 302 302 200 302 302 200 200 200
admin/logout/                                                302 405 405 405 405 405 405 302 302 302
admin/password_change/                                       302 200 200 200 200 200 200 302 302 302
admin/password_change/done/                                  302 200 200 200 200 200 200 302 302 302
admin/r/<path:content_type_id>/<path:object_id>/             302 404 404 404 302 404 404 302 302 302
api/                                                         404 404 404 404 404 404 404 404 404 404
api/docs                                                     401 200 200 200 200 200 200 200 200 401
api/openapi.json                                             401 200 200 200 200 200 200 200 200 401
api/plcs/<plc>/docs                                          401 200 200 200 200 200 404 200 404 401
plcs/<str:ref>                                               302 200 200 200 200 200 404 302 302 302
words.js                                                     200 200 200 200 200 200 200 200 200 200
"""
"""The status of a GET for each of CALLERS. 302: to the login page, or to the page's own address.

Who shows a key is a stranger on every page but the API's docs.
"""

EXAMPLES = {
    "<slug:name>": "four-phases",
    "<str:ref>": "press-1",
    "<plc>": "press-1",
    "^(?P<app_label>devices|auth)/$": "devices/",
    "^(?P<app_label>auth|devices)/$": "devices/",
    "(?P<url>.*)$": "nowhere/",
}
"""What stands for a part of an address."""
OBJECT = re.compile(r"<path:object_id>|<id>|<int:command_id>")


def rows() -> Iterator[tuple[str, list[int]]]:
    """Each page's address as the site knows it, with its statuses; "/" is the overview."""
    for line in ANSWERS.strip().splitlines():
        address, *statuses = line.split()
        yield address.removeprefix("/"), [int(status) for status in statuses]


def served() -> set[str]:
    """All that the site serves beside the operations that the API documents; those have a table of their own."""
    operations = {path.replace("{", "<").replace("}", ">").lstrip("/") for path in api.get_openapi_schema()["paths"]}
    return set(addresses(get_resolver())) - operations


def addresses(resolver: Any, before: str = "") -> Iterator[str]:
    for pattern in resolver.url_patterns:
        if hasattr(pattern, "url_patterns"):
            yield from addresses(pattern, before + str(pattern.pattern))
        else:
            yield before + str(pattern.pattern)


class TestEveryPage:
    def test_has_a_row(self):
        assert {canonical(address) for address, _ in rows()} == {canonical(address) for address in served()}
        assert all(len(statuses) == len(CALLERS) for _, statuses in rows())

    async def test_answers_each_caller_as_the_table_says(self, press: PLC, roles, gateway, subtests: pytest.Subtests):
        callers = await everybody(press, await PLC.objects.aget(name="press-2"))
        assert (await put(callers[KEY], "/api/start/press-1")).status_code == 200
        await LockOut(plc=press, by="user otto", reason="the belt is being changed").asave()
        for address, statuses in rows():
            page = await example(address)
            for caller, wanted in zip(CALLERS, statuses, strict=True):
                with subtests.test(address, caller=caller):
                    assert (await callers[caller].get(page)).status_code == wanted


def canonical(address: str) -> str:
    """The admin names its applications in the order of a set."""
    return address.replace("auth|devices", "devices|auth")


async def example(address: str) -> str:
    """An address of this page, for a thing that is there."""
    if found := re.match(r"admin/(devices|auth)/(\w+)/", address):
        address = OBJECT.sub(await an_id(*found.groups()), address)
    kind = await ContentType.objects.aget(app_label="devices", model="plc")
    address = address.replace("<path:content_type_id>/<path:object_id>", f"{kind.pk}/1")
    for part, instance in EXAMPLES.items():
        address = address.replace(part, instance)
    return f"/{address}"


async def an_id(application: str, model: str) -> str:
    row = await apps.get_model(application, model).objects.order_by("pk").afirst()
    assert row is not None, f"the test makes no {model}"
    return str(row.pk)
