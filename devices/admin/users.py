"""People and groups. Who keeps them gives no one, himself least, more than groups and grants give."""

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.models import Group, User
from django.http import HttpRequest

from devices.admin import bases
from devices.admin.grants import HolderPages, is_own
from devices.models import Role

SUPERUSERS_ONLY = frozenset({"is_superuser", "user_permissions"})
NOT_ONES_OWN = ("groups", "is_staff", "is_active")

# Django's auth registers its own as it is imported.
admin.site.unregister([User, Group])


@admin.register(User)
class UserAdmin(HolderPages, bases.UserAdmin):
    """Superusers are kept by superusers."""

    list_display = ("username", "first_name", "last_name", "is_active", "is_staff", "in_groups", "last_login")
    list_filter = ("groups", "is_active", "is_staff", "is_superuser")

    @admin.display(description="groups")
    def in_groups(self, user: User) -> str:
        """By name."""
        names = [group.name for group in user.groups.all()]
        return ", ".join([*(["superuser"] if user.is_superuser else []), *sorted(names)])

    def get_queryset(self, request: HttpRequest) -> Any:
        """With their groups."""
        return super().get_queryset(request).prefetch_related("groups")

    def get_fieldsets(self, request: HttpRequest, obj: User | None = None) -> Any:
        """What only a superuser gives stands on no other page, so that nothing of it is taken from a form."""
        hidden = set() if obj is None or request.user.is_superuser else set(SUPERUSERS_ONLY)
        if obj is not None and not self.has_change_permission(request, obj):
            hidden.add("password")  # what it shows of the hash, and its button, are of use to nobody else
        return [
            (title, {**options, "fields": [name for name in options["fields"] if name not in hidden]})
            for title, options in super().get_fieldsets(request, obj)
        ]

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> Any:
        """A name stands in the records of what its bearer did; and nobody puts himself into a group."""
        if obj is None:
            return ()
        own = NOT_ONES_OWN if is_own(request.user, obj) else ()
        return ("username", "last_login", "date_joined", *own)

    def has_change_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        """Nor a superuser's password, by which one would become him."""
        return super().has_change_permission(request, obj) and _may_touch(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        """As to change."""
        return super().has_delete_permission(request, obj) and _may_touch(request, obj)


def _may_touch(request: HttpRequest, user: User | None) -> bool:
    return user is None or request.user.is_superuser or not user.is_superuser


@admin.register(Group)
class GroupAdmin(HolderPages, DjangoGroupAdmin):
    """Groups give rights on PLCs; which pages of the admin they open, only a superuser says."""

    list_display = ("name", "rights", "members")
    fields = ("name", "members", "permissions")

    @admin.display
    def members(self, group: Group) -> str:
        """Who is in it."""
        return ", ".join(group.user_set.order_by("username").values_list("username", flat=True)) or "-"

    @admin.display
    def rights(self, group: Group) -> str:
        """On which PLCs."""
        told = [f"{grant.get_right_display()}: {grant.place}" for grant in group.grants.select_related("plc")]
        return ", ".join(told) or "-"

    def get_fields(self, request: HttpRequest, obj: Group | None = None) -> Any:
        """A new group has no members yet."""
        return self.fields if obj else ("name", *(["permissions"] if request.user.is_superuser else []))

    def get_readonly_fields(self, request: HttpRequest, obj: Group | None = None) -> Any:
        """The product's groups keep the names by which it knows them."""
        kept = ["name"] if _is_role(obj) else []
        return ("members", *kept, *([] if request.user.is_superuser else ["permissions"]))

    def has_delete_permission(self, request: HttpRequest, obj: Group | None = None) -> bool:
        """The product's groups stay, and one's own."""
        is_kept = _is_role(obj) or is_own(request.user, obj)
        return super().has_delete_permission(request, obj) and not is_kept


def _is_role(group: Group | None) -> bool:
    return group is not None and group.name in Role.values
