"""The settings with Django's own middleware, which its deployment checks look for by name."""

from plcsite.settings import *  # noqa: F403
from plcsite.settings import MIDDLEWARE as OURS

STOCK = (
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "axes.middleware.AxesMiddleware",
)
MIDDLEWARE = [*OURS, *STOCK]
SILENCED_SYSTEM_CHECKS: list[str] = []
