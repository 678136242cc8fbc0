"""The ledger's tables as models that only read, for the admin.

`yunxin_soap.campaign.storage.schema` defines the tables; a migration creates them by it.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timezone

from django.db import models

from yunxin_soap.campaign.models import NAME_LENGTH, CampaignState, State
from yunxin_soap.django.language import tr, translate
from yunxin_soap.redact import Redactor, summarise_numbers
from yunxin_soap.sentences import Sentence

_mask = Redactor()


def _choices(states: Iterable[State | CampaignState]) -> list[tuple[str, str]]:
    return [(each.value, tr(each.value)) for each in states]


def _time(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, timezone.utc)


class Campaign(models.Model):
    """A campaign."""

    name = models.CharField(tr("name"), max_length=NAME_LENGTH, unique=True)
    state = models.TextField(tr("state"), choices=_choices(CampaignState))
    reason = models.TextField(tr("reason"))
    paused_until = models.FloatField(null=True)
    created_at = models.FloatField()
    numbers = models.BigIntegerField(tr("numbers"))
    skipped = models.BigIntegerField(tr("skipped lines"))
    segments = models.BigIntegerField(tr("segments"))
    marketing = models.BooleanField(tr("marketing"))
    workers = models.IntegerField(tr("workers"), null=True)

    class Meta:
        """An unmanaged table."""

        managed = False
        db_table = "yunxin_campaign"
        verbose_name = tr("campaign")
        verbose_name_plural = tr("campaigns")
        default_permissions = ("view",)
        permissions = (
            ("pause_campaign", "Can pause and resume a campaign"),
            ("cancel_campaign", "Can cancel a campaign"),
        )

    def __str__(self) -> str:
        """Return the name."""
        return str(self.name)

    @property
    def created(self) -> datetime | None:
        """When it was planned."""
        return _time(self.created_at)


class Content(models.Model):
    """A text with its channel and extension."""

    message = models.TextField()
    channel = models.TextField()
    extension = models.TextField()

    class Meta:
        """An unmanaged table."""

        managed = False
        db_table = "yunxin_content"
        default_permissions = ()


class Submission(models.Model):
    """A submission of a campaign, or a single send."""

    campaign = models.ForeignKey(
        Campaign, models.DO_NOTHING, verbose_name=tr("campaign"), null=True
    )
    key = models.CharField(tr("key"), max_length=NAME_LENGTH, null=True, unique=True)
    content = models.ForeignKey(Content, models.DO_NOTHING)
    size = models.IntegerField(tr("numbers"))
    state = models.TextField(tr("state"), choices=_choices(State))
    attempts = models.IntegerField(tr("attempts"))
    queued_at = models.FloatField(null=True)
    expires_at = models.FloatField(null=True)
    batch_no = models.TextField(tr("batch number"), null=True)
    code = models.IntegerField(tr("code"), null=True)
    reason = models.TextField(tr("reason"))
    safe_to_resend = models.BooleanField(tr("safe to send again"))
    sent_at = models.FloatField(null=True)
    ended_at = models.FloatField(null=True)

    class Meta:
        """An unmanaged table."""

        managed = False
        db_table = "yunxin_submission"
        default_permissions = ("view",)
        permissions = (
            ("view_numbers", "Can see phone numbers and texts"),
            ("resolve_submission", "Can decide what became of an unknown submission"),
            ("retry_submission", "Can retry a rejected submission"),
        )

    def __str__(self) -> str:
        """Return the id: the key may hold a number."""
        return translate(Sentence("submission {number}", number=str(self.pk)))

    @property
    def queued(self) -> datetime | None:
        """When it was queued."""
        return _time(self.queued_at)

    @property
    def expires(self) -> datetime | None:
        """When it is cancelled if it was not sent."""
        return _time(self.expires_at)

    @property
    def sent(self) -> datetime | None:
        """When it was sent."""
        return _time(self.sent_at)

    @property
    def ended(self) -> datetime | None:
        """When it ended."""
        return _time(self.ended_at)

    def shown_numbers(self, *, is_masked: bool) -> str:
        """Return the numbers; empty if they are purged."""
        found = str(getattr(getattr(self, "recipients", None), "numbers", ""))
        if is_masked:
            return summarise_numbers(found) if found else ""
        return found.replace(",", ", ")

    def shown_text(self, *, is_masked: bool) -> str:
        """Return the text, or only its length, as the log does: it may be a verification code."""
        text = self.content.message
        return (
            translate(Sentence("*** ({count} characters)", count=len(text))) if is_masked else text
        )

    def shown_key(self, *, is_masked: bool) -> str:
        """Return the key, with the numbers in it masked."""
        return masked(self.key or "", is_masked=is_masked)

    def shown_reason(self, *, is_masked: bool) -> str:
        """Return the reason, with the numbers in it masked."""
        return masked(translate(self.reason), is_masked=is_masked)


class _SingleSends(models.Manager["SingleSend"]):
    def get_queryset(self) -> models.QuerySet[SingleSend]:
        """Leave campaigns out."""
        return super().get_queryset().filter(key__isnull=False)


class _Unknown(models.Manager["UnknownSubmission"]):
    def get_queryset(self) -> models.QuerySet[UnknownSubmission]:
        """Leave everything else out."""
        return super().get_queryset().filter(state=State.UNKNOWN.value)


class SingleSend(Submission):
    """A single send with a key."""

    objects = _SingleSends()

    class Meta:
        """The same table."""

        proxy = True
        verbose_name = tr("single send")
        verbose_name_plural = tr("single sends")
        default_permissions = ("view",)


class UnknownSubmission(Submission):
    """A submission that may have been sent, and waits for a person."""

    objects = _Unknown()

    class Meta:
        """The same table."""

        proxy = True
        verbose_name = tr("unknown submission")
        verbose_name_plural = tr("unknown submissions")
        default_permissions = ("view",)


class Recipients(models.Model):
    """The numbers of a submission; a purge deletes the row."""

    submission = models.OneToOneField(
        Submission, models.DO_NOTHING, primary_key=True, related_name="recipients"
    )
    numbers = models.TextField()

    class Meta:
        """An unmanaged table."""

        managed = False
        db_table = "yunxin_recipients"
        default_permissions = ()


class History(models.Model):
    """A change of a submission's state."""

    submission = models.ForeignKey(Submission, models.DO_NOTHING)
    at = models.FloatField()
    before = models.TextField(tr("before"), choices=_choices(State))
    after = models.TextField(tr("after"), choices=_choices(State))
    batch_no = models.TextField(tr("batch number"), null=True)
    code = models.IntegerField(tr("code"), null=True)
    detail = models.TextField()
    by = models.TextField(tr("by"))

    class Meta:
        """An unmanaged table."""

        managed = False
        db_table = "yunxin_history"
        default_permissions = ()
        verbose_name = verbose_name_plural = tr("history")

    def __str__(self) -> str:
        """Return the change."""
        return f"{translate(self.before)} → {translate(self.after)}"

    @property
    def time(self) -> datetime | None:
        """When it changed."""
        return _time(self.at)


def masked(text: str, *, is_masked: bool) -> str:
    """Return a text with the phone numbers in it masked, if that is wanted."""
    return _mask(text) if is_masked else text
