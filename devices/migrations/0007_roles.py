"""The groups that the product brings. What is here stays as it is: later changes get migrations of their own."""

from django.contrib.auth.management import create_permissions
from django.db import migrations

REGISTRY = ("profile", "tag", "command", "parameter", "step", "plc")
EVERY_CHANGE = ("view", "add", "change", "delete")

# Group: its rights on all PLCs; then, for the admin, app, actions and models.
ROLES = {
    "Viewer": (("view",), []),
    "Operator": (("view", "execute"), []),
    "Controls engineer": (
        ("view", "execute", "write", "administer"),
        [
            ("devices", EVERY_CHANGE, REGISTRY),
            ("devices", ("view", "change"), ("run",)),
            ("devices", ("view",), ("lockout",)),
        ],
    ),
    "MES account": (("view", "execute", "write"), []),
    "Auditor": (
        ("view",),
        [
            ("devices", ("view",), (*REGISTRY, "run", "lockout", "apikey", "grant", "auditentry")),
            ("auth", ("view",), ("user", "group")),
        ],
    ),
    "Security admin": (
        (),
        [
            ("auth", ("view", "add", "change"), ("user",)),
            ("auth", EVERY_CHANGE, ("group",)),
            ("devices", ("view", "add", "change"), ("apikey",)),
            ("devices", EVERY_CHANGE, ("grant",)),
        ],
    ),
}


def make_roles(apps, schema_editor):
    """Make those that are missing; a group that somebody made under such a name is his, and stays as it is."""
    using = schema_editor.connection.alias
    _make_permissions(apps, using)
    for name, (rights, pages) in ROLES.items():
        group, is_new = apps.get_model("auth", "Group").objects.using(using).get_or_create(name=name)
        if is_new:
            grants = apps.get_model("devices", "Grant").objects.using(using)
            grants.bulk_create(grants.model(group=group, right=right) for right in rights)
            group.permissions.set(_permissions(apps, using, pages))


def _make_permissions(apps, using):
    """Django makes them only after the last migration, and knows an app of the past by its models module only."""
    for label in ("auth", "devices"):
        app = apps.get_app_config(label)
        app.models_module = getattr(app, "models_module", True)
        create_permissions(app, verbosity=0, using=using, apps=apps)


def _permissions(apps, using, pages):
    known = apps.get_model("auth", "Permission").objects.using(using)
    for app, actions, models in pages:
        for model in models:
            codenames = [f"{action}_{model}" for action in actions]
            yield from known.filter(content_type__app_label=app, content_type__model=model, codename__in=codenames)


def remove_roles(apps, schema_editor):
    """Take the groups away, and with them who was in them and what they were granted."""
    apps.get_model("auth", "Group").objects.using(schema_editor.connection.alias).filter(name__in=ROLES).delete()


class Migration(migrations.Migration):

    dependencies = [
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
        ("devices", "0006_audit_append_only"),
    ]

    operations = [migrations.RunPython(make_roles, remove_roles)]
