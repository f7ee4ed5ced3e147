"""Django's admin, with this site's own doorkeeper."""

from django.contrib.admin import apps


class AdminConfig(apps.AdminConfig):
    """In INSTALLED_APPS instead of django.contrib.admin."""

    default_site = "plcsite.admin_site.GatewaySite"
