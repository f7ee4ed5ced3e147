"""From here on the database itself refuses to change or remove an audit entry."""

from django.db import migrations

from devices.models import audit_guard


def install(apps, schema_editor):
    audit_guard.install(schema_editor.connection)


def remove(apps, schema_editor):
    audit_guard.remove(schema_editor.connection)


class Migration(migrations.Migration):

    dependencies = [
        ('devices', '0005_access_and_security'),
    ]

    operations = [
        migrations.RunPython(install, remove),
    ]
