"""Fewer indexes on runs, of which each is a page that every command waits for.

`one_running_per_plc` goes and comes back: with the foreign key's own index Django 5.2 would drop it on PostgreSQL too.
"""

import django.db.models.deletion
from django.db import migrations, models
from django.db.models import Q

CONSTRAINTS = [
    models.UniqueConstraint(fields=["plc"], condition=Q(state="running"), name="one_running_per_plc"),
    models.UniqueConstraint(
        fields=["caller", "idempotency_key"], condition=Q(idempotency_key__isnull=False), name="one_run_per_key"
    ),
    models.UniqueConstraint(
        fields=["plc", "sequence"], condition=Q(sequence__isnull=False), name="one_run_per_sequence"
    ),
]


class Migration(migrations.Migration):

    dependencies = [("devices", "0009_stamps")]

    operations = [
        *(migrations.RemoveConstraint("Run", constraint.name) for constraint in CONSTRAINTS),
        migrations.AlterField(
            "Run",
            "plc",
            models.ForeignKey(
                "devices.PLC",
                on_delete=django.db.models.deletion.PROTECT,
                related_name="runs",
                db_index=False,
                verbose_name="PLC",
                help_text="Where it ran.",
            ),
        ),
        *(migrations.AddConstraint("Run", constraint) for constraint in CONSTRAINTS),
    ]
