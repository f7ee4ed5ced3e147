"""Sends what a recording holds, again and again, to all who are connected; ECHO_RECORDING and ECHO_TOPICS say what.

Each topic's news are sent once to its group, as a program would that forwards what it hears from elsewhere.
"""

import asyncio
import contextvars
import json
import os
import secrets
from pathlib import Path
from typing import Any

import django
from channels.generic.websocket import AsyncWebsocketConsumer
from channels.layers import get_channel_layer
from channels.routing import ProtocolTypeRouter, URLRouter
from django.conf import settings
from django.urls import path

settings.configure(
    SECRET_KEY=secrets.token_hex(32),
    ALLOWED_HOSTS=["127.0.0.1"],
    INSTALLED_APPS=["channels"],
    CHANNEL_LAYERS={"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}},
)
django.setup()

RECORDING = json.loads(Path(os.environ["ECHO_RECORDING"]).read_text())
TOPICS = int(os.environ["ECHO_TOPICS"])


class Echo(AsyncWebsocketConsumer):
    """One page."""

    publishing: "set[asyncio.Task[None]]" = set()

    async def connect(self) -> None:
        """Hear the news of the topic; the first page of all starts them."""
        await self.accept()
        await self.channel_layer.group_add(self.scope["url_route"]["kwargs"]["topic"], self.channel_name)
        if not self.publishing:
            self.publishing |= {start(topic) for topic in range(TOPICS)}

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """Pages say that they read."""

    async def news(self, event: dict[str, Any]) -> None:
        """Send it on."""
        await self.send(text_data=event["text"])


def start(topic: int) -> "asyncio.Task[None]":
    """Its own task, in a context of its own: that of a request drags a database thread along."""
    return asyncio.create_task(publish(topic), context=contextvars.Context())


async def publish(topic: int) -> None:
    """As recorded, each topic at its own moment."""
    loop, layer = asyncio.get_running_loop(), get_channel_layer()
    begins = loop.time() + topic * RECORDING["period_s"] / TOPICS
    while True:
        for at, text in RECORDING["frames"]:
            await asyncio.sleep(begins + at - loop.time())
            await layer.group_send(f"topic-{topic}", {"type": "news", "text": text})
        begins += RECORDING["period_s"]


application = ProtocolTypeRouter({"websocket": URLRouter([path("ws/<str:topic>/", Echo.as_asgi())])})
