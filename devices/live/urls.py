"""The addresses of the live pages and of their WebSockets."""

from django.urls import path

from devices.live.language import Words
from devices.live.pages import OverviewConsumer, PLCConsumer
from devices.live.views import overview, plc_page

urlpatterns = [
    path("", overview, name="live"),
    path("plcs/<str:ref>", plc_page, name="plc"),
    path("words.js", Words.as_view(), name="words"),
]
websocket_urlpatterns = [
    path("ws/live/", OverviewConsumer.as_asgi()),
    path("ws/plcs/<str:plc>/", PLCConsumer.as_asgi()),
]
