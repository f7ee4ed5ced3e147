"""The engineers' entrance: describe machines, look at runs, make keys. Django finds it as `devices.admin`."""

from django.contrib import admin

from devices.admin import access, audit, commands, grants, lock_outs, registry, runs, users
from devices.admin.logins import LoginForm

__all__ = ["access", "audit", "commands", "grants", "lock_outs", "registry", "runs", "users"]

admin.site.login_form = LoginForm
# Machines, commands and records go one by one, each after a look at what goes with it.
admin.site.disable_action("delete_selected")
