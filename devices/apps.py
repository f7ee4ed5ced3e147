"""The Django app."""

from django.apps import AppConfig


class DevicesConfig(AppConfig):
    """PLCs, their commands and the runs of these."""

    name = "devices"
    verbose_name = "PLC gateway"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """From now on what is done is told."""
        from devices.control import audit_changes, audit_logins, audit_members

        for told in (audit_changes, audit_members, audit_logins):
            told.listen()
