"""Whatever goes wrong under /api is told as problem details, and each kind of it is documented."""

import logging
import re
from pathlib import Path

import pytest
from django.test import AsyncClient, override_settings

from devices.api import problems
from devices.control.errors import Refused, WrongValues
from devices.control.gateway import Gateway
from devices.models import State
from tests.api.callers import problem_of, put

BASES = {Refused, WrongValues}
"""Nobody is told these: they are there for who catches."""
DOCS = Path(__file__).parents[2] / "docs" / "problems.md"
HTML = {"accept": "text/html,application/xhtml+xml"}


def subclasses(cls: type) -> set[type]:
    """All of them, of any depth."""
    return {cls, *(below for child in cls.__subclasses__() for below in subclasses(child))}


class TestTheTable:
    def test_knows_every_refusal(self):
        assert problems.REFUSALS.keys() == subclasses(Refused) - BASES

    def test_knows_every_end_of_a_run_but_the_good_one(self):
        ends = {state for state in State if state.is_final}
        assert problems.OUTCOMES.keys() == ends - {State.SUCCEEDED}

    def test_calls_no_two_problems_alike(self):
        codes = [problem.code for problem in problems.ALL]
        assert len(codes) == len(set(codes))

    def test_says_504_only_where_it_may_have_happened(self):
        assert {state for state, problem in problems.OUTCOMES.items() if problem.status == 504} == {
            State.UNKNOWN,
            State.TIMED_OUT,
        }
        assert 504 not in {problem.status for problem in (*problems.REFUSALS.values(), *problems.STATUSES.values())}

    def test_says_with_every_429_and_503_when_to_come_back(self):
        assert all((problem.status in (429, 503)) == (problem.retry_s is not None) for problem in problems.ALL)

    def test_is_the_one_of_the_docs(self):
        rows = re.findall(r"^\| `([\w-]+)` \| (\d+) \|", DOCS.read_text(), re.MULTILINE)
        assert sorted(rows) == sorted((problem.code, str(problem.status)) for problem in problems.ALL)

    def test_gives_a_bare_problem_the_code_of_its_title(self):
        listed = problems.STATUSES[405]
        assert problem_of(problems.problem(405, listed.title, "x"), 405, listed.code)


@pytest.mark.django_db(transaction=True)
class TestUnderTheAPI:
    @pytest.mark.parametrize("address", ["/api/nowhere", "/api/plcs/", "/api/", "/api/start/", "/api/runs/1/2"])
    @pytest.mark.parametrize("accept", ["text/html", "application/json", "*/*"])
    async def test_an_unknown_address_is_told(self, mes: AsyncClient, address: str, accept: str):
        told = problem_of(await mes.get(address, headers={"accept": accept}), 404, "not-found")
        assert told["instance"] == address

    @pytest.mark.parametrize(
        ("method", "address", "allowed"),
        [
            ("delete", "/api/plcs", "GET"),
            ("post", "/api/start/press-1", "PUT"),
            ("get", "/api/start/press-1", "PUT"),
            ("get", "/api/plcs/press-1/commands/start_batch", "POST"),
            ("put", "/api/health/live", "GET"),
        ],
    )
    async def test_a_wrong_method_is_told_with_the_right_ones(self, mes: AsyncClient, method, address, allowed):
        answer = await getattr(mes, method)(address)
        assert problem_of(answer, 405, "method-not-allowed")
        assert answer["Allow"] == allowed

    async def test_a_bug_is_told_by_its_id_and_logged_under_it(self, mes: AsyncClient, gateway: Gateway, caplog):
        with pytest.MonkeyPatch.context() as broken:
            broken.delattr(gateway, "registry")
            told = problem_of(await put(mes, "/api/start/press-1"), 500, "internal-error")
        assert "registry" not in str(told)
        bug = told["instance"].removeprefix("urn:uuid:")
        assert bug in told["detail"]
        logged = [record for record in caplog.records if bug in record.getMessage()]
        assert [record.levelno for record in logged] == [logging.ERROR]
        assert logged[0].exc_info[0] is AttributeError

    @override_settings(DEBUG=True)
    async def test_a_bug_shows_no_trace_to_a_developer_either(self, mes: AsyncClient, gateway: Gateway):
        with pytest.MonkeyPatch.context() as broken:
            broken.delattr(gateway, "registry")
            answer = await put(mes, "/api/start/press-1")
        assert "Traceback" not in answer.content.decode()

    async def test_the_address_is_quoted_as_a_uri(self, mes: AsyncClient):
        told = problem_of(await put(mes, "/api/start/a b<>"), 404, "unknown-plc")
        assert told["instance"] == "/api/start/a%20b%3C%3E"


class TestElsewhere:
    async def test_a_browser_gets_a_page(self, async_client: AsyncClient):
        answer = await async_client.get("/nowhere", headers=HTML)
        assert (answer.status_code, answer["Content-Type"]) == (404, "text/html; charset=utf-8")
        assert "Nothing is at this address" in answer.content.decode()

    async def test_a_program_gets_a_problem(self, async_client: AsyncClient):
        answer = await async_client.get("/nowhere", headers={"accept": "application/json"})
        problem_of(answer, 404, "not-found")

    def test_each_handler_of_django_answers_both(self, rf):
        for path, headers, kind in (("/x", HTML, "text/html"), ("/api/x", HTML, "application/problem+json")):
            request = rf.get(path, headers=headers)
            answers = [
                problems.bad_request(request, ValueError("inside")),
                problems.permission_denied(request, ValueError("inside")),
                problems.not_found(request, ValueError("inside")),
                problems.server_error(request),
            ]
            assert [answer.status_code for answer in answers] == [400, 403, 404, 500]
            assert all(answer["Content-Type"].startswith(kind) for answer in answers)
            assert not any(b"inside" in answer.content for answer in answers)
