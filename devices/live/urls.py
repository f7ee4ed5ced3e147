"""The addresses of the live page and of its WebSocket."""

from django.urls import path

from devices.live.consumer import LiveConsumer
from devices.live.views import live

urlpatterns = [path("", live, name="live")]
websocket_urlpatterns = [path("ws/live/", LiveConsumer.as_asgi())]
