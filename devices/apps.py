"""The Django app."""

from django.apps import AppConfig


class DevicesConfig(AppConfig):
    """PLCs, their commands and the runs of these."""

    name = "devices"
    verbose_name = "PLC gateway"
    default_auto_field = "django.db.models.BigAutoField"
