"""The real site, which looks often who may watch its pages; for the DJANGO_SETTINGS_MODULE of a child."""

from plcsite.settings import *  # noqa: F403

ASGI_APPLICATION = "tests.serving.watchful_pages.application"
