"""The engineers' entrance: describe machines, look at runs, make keys. Django finds it as `devices.admin`."""

from django.contrib import admin

from devices.admin import access, commands, registry, runs

__all__ = ["access", "commands", "registry", "runs"]

admin.site.site_header = "PLC gateway"
admin.site.site_title = "PLC gateway"
admin.site.index_title = "Machines, commands, runs"
admin.site.enable_nav_sidebar = False  # the tables of tags and steps need the width
# Machines, commands and records go one by one, each after a look at what goes with it.
admin.site.disable_action("delete_selected")
