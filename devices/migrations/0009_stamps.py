"""One stamp for each kind of what processes keep in memory; that of keys and grants goes on where it stands."""

from django.db import migrations, models

KINDS = [
    ("access", "keys and grants"),
    ("registry", "PLCs and what their profiles hold"),
    ("lock_outs", "lock-outs"),
]


class Migration(migrations.Migration):

    dependencies = [("devices", "0008_run_process")]

    operations = [
        migrations.RenameModel("AccessStamp", "Stamp"),
        migrations.AddField(
            "Stamp",
            "kind",
            # The only row that there was.
            models.CharField(choices=KINDS, default="access", help_text="Of what.", max_length=20, unique=True),
            preserve_default=False,
        ),
    ]
