"""Create the ledger's tables; the models of them do not change the database."""

from __future__ import annotations

import django.db.models.deletion
from django.db import migrations, models

from yunxin_soap.django.tables import create_tables, drop_tables


class Migration(migrations.Migration):
    """The first version."""

    initial = True

    dependencies = []

    operations = [
        # A server that commits each statement would lose the savepoint around them.
        migrations.RunPython(create_tables, drop_tables, atomic=False),
        migrations.CreateModel(
            name="Campaign",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("name", models.CharField(max_length=255, unique=True, verbose_name="name")),
                (
                    "state",
                    models.TextField(
                        choices=[
                            ("open", "open"),
                            ("paused", "paused"),
                            ("done", "done"),
                            ("cancelled", "cancelled"),
                        ],
                        verbose_name="state",
                    ),
                ),
                ("reason", models.TextField(verbose_name="reason")),
                ("paused_until", models.FloatField(null=True)),
                ("created_at", models.FloatField()),
                ("numbers", models.BigIntegerField(verbose_name="numbers")),
                ("skipped", models.BigIntegerField(verbose_name="skipped lines")),
                ("segments", models.BigIntegerField(verbose_name="segments")),
                ("marketing", models.BooleanField(verbose_name="marketing")),
                ("workers", models.IntegerField(null=True, verbose_name="workers")),
            ],
            options={
                "verbose_name": "campaign",
                "verbose_name_plural": "campaigns",
                "db_table": "yunxin_campaign",
                "permissions": (
                    ("pause_campaign", "Can pause and resume a campaign"),
                    ("cancel_campaign", "Can cancel a campaign"),
                ),
                "managed": False,
                "default_permissions": ("view",),
            },
        ),
        migrations.CreateModel(
            name="Content",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("message", models.TextField()),
                ("channel", models.TextField()),
                ("extension", models.TextField()),
            ],
            options={
                "db_table": "yunxin_content",
                "managed": False,
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="History",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("at", models.FloatField()),
                (
                    "before",
                    models.TextField(
                        choices=[
                            ("pending", "pending"),
                            ("submitting", "submitting"),
                            ("accepted", "accepted"),
                            ("rejected", "rejected"),
                            ("unknown", "unknown"),
                            ("split", "split"),
                            ("cancelled", "cancelled"),
                            ("suppressed", "suppressed"),
                        ],
                        verbose_name="before",
                    ),
                ),
                (
                    "after",
                    models.TextField(
                        choices=[
                            ("pending", "pending"),
                            ("submitting", "submitting"),
                            ("accepted", "accepted"),
                            ("rejected", "rejected"),
                            ("unknown", "unknown"),
                            ("split", "split"),
                            ("cancelled", "cancelled"),
                            ("suppressed", "suppressed"),
                        ],
                        verbose_name="after",
                    ),
                ),
                ("batch_no", models.TextField(null=True, verbose_name="batch number")),
                ("code", models.IntegerField(null=True, verbose_name="code")),
                ("detail", models.TextField()),
                ("by", models.TextField(verbose_name="by")),
            ],
            options={
                "verbose_name": "history",
                "verbose_name_plural": "history",
                "db_table": "yunxin_history",
                "managed": False,
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="Submission",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "key",
                    models.CharField(max_length=255, null=True, unique=True, verbose_name="key"),
                ),
                ("size", models.IntegerField(verbose_name="numbers")),
                (
                    "state",
                    models.TextField(
                        choices=[
                            ("pending", "pending"),
                            ("submitting", "submitting"),
                            ("accepted", "accepted"),
                            ("rejected", "rejected"),
                            ("unknown", "unknown"),
                            ("split", "split"),
                            ("cancelled", "cancelled"),
                            ("suppressed", "suppressed"),
                        ],
                        verbose_name="state",
                    ),
                ),
                ("attempts", models.IntegerField(verbose_name="attempts")),
                ("queued_at", models.FloatField(null=True)),
                ("expires_at", models.FloatField(null=True)),
                ("batch_no", models.TextField(null=True, verbose_name="batch number")),
                ("code", models.IntegerField(null=True, verbose_name="code")),
                ("reason", models.TextField(verbose_name="reason")),
                ("safe_to_resend", models.BooleanField(verbose_name="safe to send again")),
                ("sent_at", models.FloatField(null=True)),
                ("ended_at", models.FloatField(null=True)),
            ],
            options={
                "db_table": "yunxin_submission",
                "permissions": (
                    ("view_numbers", "Can see phone numbers and texts"),
                    ("resolve_submission", "Can decide what became of an unknown submission"),
                    ("retry_submission", "Can retry a rejected submission"),
                ),
                "managed": False,
                "default_permissions": ("view",),
            },
        ),
        migrations.CreateModel(
            name="Recipients",
            fields=[
                (
                    "submission",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        primary_key=True,
                        related_name="recipients",
                        serialize=False,
                        to="yunxin.submission",
                    ),
                ),
                ("numbers", models.TextField()),
            ],
            options={
                "db_table": "yunxin_recipients",
                "managed": False,
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="SingleSend",
            fields=[],
            options={
                "verbose_name": "single send",
                "verbose_name_plural": "single sends",
                "proxy": True,
                "default_permissions": ("view",),
                "indexes": [],
                "constraints": [],
            },
            bases=("yunxin.submission",),
        ),
        migrations.CreateModel(
            name="UnknownSubmission",
            fields=[],
            options={
                "verbose_name": "unknown submission",
                "verbose_name_plural": "unknown submissions",
                "proxy": True,
                "default_permissions": ("view",),
                "indexes": [],
                "constraints": [],
            },
            bases=("yunxin.submission",),
        ),
    ]
