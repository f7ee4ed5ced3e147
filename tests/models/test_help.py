"""Every field that an engineer meets explains itself."""

import pytest

from devices.models import PLC, APIKey, Command, Parameter, Profile, Run, Step, Tag


@pytest.mark.parametrize("model", [Profile, Tag, PLC, Command, Parameter, Step, Run, APIKey])
def test_every_field_has_help(model):
    fields = [field for field in model._meta.concrete_fields if not field.primary_key]
    assert [field.name for field in fields if not field.help_text] == []


@pytest.mark.parametrize("model", [Profile, Tag, PLC, Command, Parameter, Step])
def test_help_is_a_sentence(model):
    fields = [field for field in model._meta.concrete_fields if not field.primary_key]
    assert [field.name for field in fields if not field.help_text.endswith((".", "}"))] == []


def test_addresses_say_from_where_they_count():
    for field in (Tag._meta.get_field("address"), Profile._meta.get_field("probe_address")):
        assert "from zero" in field.help_text
