"""Settings of a child server whose pages are slow or block; for the DJANGO_SETTINGS_MODULE of its environment."""

from plcsite.settings import *  # noqa: F403

ROOT_URLCONF = "tests.serving.pages"
ASGI_APPLICATION = "tests.serving.pages.application"
