"""The suite really talks to the services that it was told to use."""

import os

import pytest
from channels.layers import get_channel_layer
from channels_redis.pubsub import RedisPubSubChannelLayer
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


if settings.REDIS_URL:  # in process nobody else can hear

    class TestRedis:
        async def test_shared_with_another_gateway_keeps_their_news_apart(self) -> None:
            ours, theirs = get_channel_layer(), RedisPubSubChannelLayer(hosts=[settings.REDIS_URL], prefix="another")
            channel = await ours.new_channel()
            await ours.group_add("services", channel)
            await theirs.group_send("services", {"type": "stranger"})
            await ours.group_send("services", {"type": "friend"})
            assert await ours.receive(channel) == {"type": "friend"}
            await ours.group_discard("services", channel)
