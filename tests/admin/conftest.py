"""An engineer who is logged in, and a machine type to work on."""

import pytest
from django.contrib.auth.models import User
from django.test import Client

from devices.models import Command, Profile
from tests.models import rows


@pytest.fixture
def engineer(transactional_db) -> Client:
    """A browser in which an engineer is logged in."""
    client = Client()
    client.force_login(User.objects.create_superuser("engineer"))
    return client


@pytest.fixture
def profile(transactional_db) -> Profile:
    """A machine type with the tags of a start with handshake."""
    profile = rows.stored(rows.profile())
    rows.stored(rows.coil(profile))
    rows.stored(rows.coil(profile, name="ack", table="discrete_input"))
    rows.stored(rows.register(profile, minimum=1, maximum=10000))
    return profile


@pytest.fixture
def command(profile) -> Command:
    """Writes its parameter, triggers and waits."""
    tags = {tag.name: tag for tag in profile.tags.all()}
    command = rows.stored(rows.command(profile))
    parameter = rows.stored(rows.parameter(command, default=15, minimum=1, maximum=10000))
    rows.stored(rows.step(command, tags["batch_size"], value="", parameter=parameter, position=1))
    rows.stored(rows.step(command, tags["start"], phase="trigger", value="true", position=1))
    rows.stored(rows.step(command, tags["ack"], phase="wait", operator="==", timeout_s=5, position=1))
    return command
