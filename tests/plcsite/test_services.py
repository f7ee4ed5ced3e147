"""The suite really talks to the services that it was told to use."""

import os

import pytest
from channels.layers import get_channel_layer
from django.conf import settings
from django.db import connection

DATABASE_URL = os.environ.get("DATABASE_URL", "")


@pytest.mark.django_db
class TestDatabase:
    def test_is_the_one_that_the_environment_names(self) -> None:
        expected = "postgresql" if DATABASE_URL.startswith("postgres") else "sqlite"
        assert connection.vendor == expected
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
            assert cursor.fetchone() == (1,)


class TestPush:
    async def test_reaches_a_listener_over_the_layer_that_the_environment_names(self) -> None:
        layer = get_channel_layer()
        expected = "RedisPubSubChannelLayer" if settings.REDIS_URL else "InMemoryChannelLayer"
        assert type(layer).__name__ == expected
        channel = await layer.new_channel()
        await layer.group_add("services", channel)
        await layer.group_send("services", {"type": "hello"})
        assert await layer.receive(channel) == {"type": "hello"}
        await layer.group_discard("services", channel)
