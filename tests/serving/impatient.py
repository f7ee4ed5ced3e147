"""The real site, whose pages must answer their beats sooner; for the DJANGO_SETTINGS_MODULE of a child."""

from plcsite.settings import *  # noqa: F403

ASGI_APPLICATION = "tests.serving.impatient_pages.application"
