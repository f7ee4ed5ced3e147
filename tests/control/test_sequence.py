"""The number of a run on its way from the rows to the conversation, and what callers may say about it."""

from typing import Any

import pytest
from channels.db import database_sync_to_async

from devices.api import value_schemas
from devices.control import check, parameters
from devices.control.errors import InvalidParameters
from devices.control.gateway import Gateway
from devices.control.loading import Loader
from devices.models import PLC, Command, Parameter, Step
from devices.plc.sequence import SEQUENCE, sequence_limit
from devices.plc.specs import CommandSpec, Operator, Phase
from tests.control import rows
from tests.doubles.fault_server import FaultServer

ECHO: list[dict[str, Any]] = [
    {"phase": "check", "tag": "fault", "operator": "==", "value": "0"},
    {"phase": "check", "tag": "nok_num", "operator": "!=", "value": "{sequence}"},
    {"phase": "write", "tag": "batch_size", "parameter": "batch_size"},
    {"phase": "trigger", "tag": "recipe", "value": "{sequence}"},
    {"phase": "wait", "tag": "nok_num", "operator": "==", "value": "{sequence}", "timeout_s": 1},
]


@pytest.fixture
async def echo(press: PLC) -> Command:
    """`echo`: one parameter, and the number of the run."""
    return await database_sync_to_async(rows.make_command)(press.profile, "echo", ECHO, rows.PARAMETERS[:1])


async def spec_of() -> CommandSpec:
    plcs = await database_sync_to_async(Loader().load)()
    return plcs["press-1"].commands["echo"]


class TestTranslation:
    async def test_gives_its_steps_the_reserved_parameter_and_no_constant(self, echo: Command) -> None:
        steps = [step for step in (await spec_of()).steps if step.parameter == SEQUENCE]
        assert [(step.phase, step.operator, step.value, step.choices) for step in steps] == [
            (Phase.CHECK, Operator.NOT_EQUAL, None, ()),
            (Phase.TRIGGER, Operator.SET, None, ()),
            (Phase.WAIT, Operator.EQUAL, None, ()),
        ]
        assert sequence_limit(await spec_of()) == 65_535

    @pytest.mark.parametrize(
        ("model", "where", "fields"),
        [
            (Parameter, {"command__name": "echo"}, {"name": "sequence"}),
            (Step, {"command__name": "echo", "phase": "trigger"}, {"tag": "setpoint"}),
            (Step, {"command__name": "echo", "phase": "wait"}, {"operator": "<"}),
            (Step, {"command__name": "echo", "phase": "wait"}, {"phase": "fail_if"}),
        ],
    )
    async def test_leaves_out_a_command_that_the_form_would_have_refused(
        self, echo: Command, press: PLC, model, where, fields
    ) -> None:
        if "tag" in fields:
            fields = {"tag": await press.profile.tags.aget(name=fields["tag"])}
        await model.objects.filter(**where).aupdate(**fields)
        assert "echo" not in (await database_sync_to_async(Loader().load)())["press-1"].commands


class TestACaller:
    async def test_who_gives_the_number_is_refused_as_for_any_unknown_name(self, echo: Command) -> None:
        spec = await spec_of()
        with pytest.raises(InvalidParameters) as refused:
            parameters.check(spec, {"batch_size": 15, "sequence": 7})
        assert refused.value.errors == (("sequence", "echo has no parameter of this name"),)

    async def test_gives_the_others_as_ever(self, echo: Command) -> None:
        assert parameters.check(await spec_of(), {}) == {"batch_size": 15}

    async def test_is_not_told_of_the_number_as_a_parameter(self, echo: Command) -> None:
        schema = value_schemas.of_parameters(await spec_of())
        assert (list(schema["properties"]), schema["additionalProperties"]) == (["batch_size"], False)


class TestADryRun:
    async def test_leaves_out_what_compares_with_the_number_since_it_has_none(
        self, machine: FaultServer, echo: Command, gateway: Gateway
    ) -> None:
        clauses = await check.check("press-1", "echo", {}, rows.MES)
        assert [clause.step.tag.name for clause in clauses] == ["fault"]
        assert machine.writes == []
