"""schemathesis calls every operation as the API describes itself, with good and with bad values: no 5xx, no surprise.

`SCHEMA_CASES` says how many cases an operation gets; CI's number keeps the whole of it within two minutes.
"""

import os
from collections.abc import Iterator

import httpx
import hypothesis
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, strategies
from schemathesis.checks import not_a_server_error
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi import checks

from tests.access import new_key
from tests.serving.process import RunningServer

CASES = int(os.environ.get("SCHEMA_CASES", "25"))
PROMISES = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    checks.allow_header_conformance,
]
THERE = {"plc": "press-1", "id": "press-1", "command": "start_batch", "tag": "batch_size", "run": 1}
"""What is there to be called; made-up names meet a 404 only."""
LIMITS = hypothesis.settings(
    max_examples=CASES,
    deadline=None,  # a command takes as long as its machine
    database=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


def operations(site: RunningServer, headers: dict[str, str]) -> Iterator[APIOperation]:
    """All that the document describes, also what was added since this was written."""
    document = httpx.get(f"{site.url}/api/openapi.json", headers=headers).raise_for_status().json()
    schema = schemathesis.openapi.from_dict(document)
    schema.config.update(base_url=site.url)
    return (found.ok() for found in schema.get_all_operations())


class TestEveryOperation:
    def test_answers_as_it_is_described_and_never_with_an_error_of_its_own(
        self, site: RunningServer, subtests: pytest.Subtests
    ):
        headers = {"X-API-Key": new_key()}
        called: dict[str, set[int]] = {}
        for operation in operations(site, headers):
            with subtests.test(operation.label):
                called[operation.label] = answers_of(operation, headers)
        assert len(called) >= 19
        assert {status for statuses in called.values() for status in statuses} >= {200, 207, 404, 422}


def answers_of(operation: APIOperation, headers: dict[str, str]) -> set[int]:
    """Call it with what its description allows and with what it does not; the statuses that came."""
    seen: set[int] = set()

    @LIMITS
    @given(case=operation.as_strategy(), is_there=strategies.booleans())
    def call(case: schemathesis.Case, is_there: bool) -> None:
        if is_there:
            case.path_parameters.update({name: THERE[name] for name in case.path_parameters})
        response = case.call(headers=headers)
        seen.add(response.status_code)
        case.validate_response(response, checks=PROMISES)

    call()
    return seen
