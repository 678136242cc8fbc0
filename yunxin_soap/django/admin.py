"""The admin: campaigns, single sends and what is unknown, to look at and to decide about.

Nothing can be edited. Each decision is an action with a permission of its own, and the ledger's
history keeps the name of the user.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db.models import BooleanField, Count, QuerySet, Value
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.formats import localize
from django.utils.timezone import localtime

from yunxin_soap.campaign.models import DecisionName
from yunxin_soap.django import configuration
from yunxin_soap.django.language import catalogue, tr, translate
from yunxin_soap.django.models import (
    Campaign,
    History,
    SingleSend,
    Submission,
    UnknownSubmission,
    masked,
)
from yunxin_soap.django.process import get_ledger
from yunxin_soap.errors import YunxinError
from yunxin_soap.sentences import Sentence
from yunxin_soap.translation import translate_error

if TYPE_CHECKING:
    _ModelAdmin = admin.ModelAdmin[Any]
    _Inline = admin.TabularInline[Any, Any]
else:
    _ModelAdmin, _Inline = admin.ModelAdmin, admin.TabularInline

_Decide = Callable[..., object]
"""Carries a decision out; it takes the name of the user, ``by``."""
SEE_NUMBERS = "view_numbers"
"""The permission to see phone numbers and texts."""


def _may(request: HttpRequest, permission: str) -> bool:
    """Return whether a user has a permission of this app."""
    user: Any = request.user
    return bool(user.has_perm(f"yunxin.{permission}"))


def _shown_time(name: str, label: str) -> Callable[[Any], str]:
    """Return a column with a time as Django shows times: its page would show the raw one in UTC."""

    @admin.display(description=label)
    def show(row: Any) -> str:
        value = getattr(row, name)
        return "" if value is None else localize(localtime(value))

    show.__name__ = f"shown_{name}"
    return show


_CREATED = _shown_time("created", tr("created"))
_QUEUED = _shown_time("queued", tr("queued at"))
_EXPIRES = _shown_time("expires", tr("expires"))
_SENT = _shown_time("sent", tr("sent"))
_ENDED = _shown_time("ended", tr("ended"))
_TIME = _shown_time("time", tr("time"))


class _ReadOnly:
    """What may be looked at only, in the ledger's database."""

    def has_add_permission(self, *_: Any) -> bool:
        """Refuse."""
        return False

    def has_change_permission(self, *_: Any) -> bool:
        """Refuse."""
        return False

    def has_delete_permission(self, *_: Any) -> bool:
        """Refuse."""
        return False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Read the ledger's database, and note whether this user sees numbers."""
        found: QuerySet[Any] = super().get_queryset(request)  # type: ignore[misc]
        is_masked = Value(not _may(request, SEE_NUMBERS), BooleanField())
        return found.using(configuration.read().database).annotate(is_masked=is_masked)


class _Ledger(_ReadOnly, _ModelAdmin):
    """A table of the ledger, with decisions as actions."""

    def decide(
        self,
        request: HttpRequest,
        queryset: QuerySet[Any],
        question: Sentence,
        decisions: Callable[[QuerySet[Any]], Iterable[tuple[Any, _Decide]]],
    ) -> HttpResponse | None:
        """Carry a decision out for each of the chosen rows, once it is confirmed.

        Args:
            request: the request of the action.
            queryset: the rows.
            question: what the user is to confirm.
            decisions: yields what the message calls each, and what carries it out.
        """
        if "confirmed" not in request.POST:
            context = {
                **self.admin_site.each_context(request),
                "title": translate(question),
                "opts": self.model._meta,
                "rows": [self.title_of(each) for each in queryset[:100]],
                "count": queryset.count(),
                "action": request.POST["action"],
                "chosen": request.POST.getlist(ACTION_CHECKBOX_NAME),
                "select_across": request.POST.get("select_across", "0"),
            }
            return TemplateResponse(request, "admin/yunxin/confirm.html", context)
        done = 0
        for title, decide in decisions(queryset):
            try:
                decide(by=request.user.get_username())
                done += 1
            except YunxinError as error:  # noqa: PERF203 - the others go on
                text = translate_error(error, catalogue())
                shown = masked(text, is_masked=not _may(request, SEE_NUMBERS))
                self.message_user(request, f"{str(title)!r}: {shown}", messages.ERROR)
        if done:
            said = translate(Sentence("Done for {count}.", count=done))
            self.message_user(request, said, messages.SUCCESS)
        return None

    def title_of(self, row: Any) -> str:
        """Return what a message calls a row."""
        return str(row)


@admin.register(Campaign)
class CampaignAdmin(_Ledger):
    """Campaigns."""

    list_display: Any = (
        "name",
        "state",
        "shown_reason",
        _CREATED,
        "numbers",
        "skipped",
        "workers",
    )
    list_filter = ("state",)
    search_fields = ("name",)
    ordering = ("-id",)
    actions = ("pause", "resume", "cancel", "retry")
    fields: ClassVar[Any] = (*list_display, "segments", "marketing", "submissions")
    readonly_fields: ClassVar[Any] = fields

    @admin.display(description=tr("reason"), ordering="reason")
    def shown_reason(self, campaign: Campaign) -> str:
        """Return the reason."""
        return translate(campaign.reason)

    @admin.display(description=tr("submissions by state"))
    def submissions(self, campaign: Campaign) -> str:
        """Return the counts of the submissions by their states."""
        own = Submission.objects.using(campaign._state.db).filter(campaign=campaign)
        counts = own.values_list("state").annotate(Count("id")).order_by("state")
        return ", ".join(f"{translate(state)}: {count:,}" for state, count in counts)

    def has_pause_permission(self, request: HttpRequest) -> bool:
        """Return whether the user may pause and resume."""
        return _may(request, "pause_campaign")

    def has_cancel_permission(self, request: HttpRequest) -> bool:
        """Return whether the user may cancel."""
        return _may(request, "cancel_campaign")

    def has_retry_permission(self, request: HttpRequest) -> bool:
        """Return whether the user may retry."""
        return _may(request, "retry_submission")

    @admin.action(description=tr("Pause"), permissions=["pause"])
    def pause(self, request: HttpRequest, queryset: QuerySet[Campaign]) -> HttpResponse | None:
        """Pause campaigns."""
        ledger = get_ledger()
        return self.decide(
            request,
            queryset,
            Sentence("Pause these campaigns? They wait until somebody resumes them."),
            lambda rows: ((each, partial(ledger.pause, each.name)) for each in rows),
        )

    @admin.action(description=tr("Resume"), permissions=["pause"])
    def resume(self, request: HttpRequest, queryset: QuerySet[Campaign]) -> HttpResponse | None:
        """End the pause of campaigns."""
        ledger = get_ledger()

        def resume(name: str, *, by: str) -> None:
            ledger.resume(name)  # its history is that of the runs

        return self.decide(
            request,
            queryset,
            Sentence("Resume these campaigns?"),
            lambda rows: ((each, partial(resume, each.name)) for each in rows),
        )

    @admin.action(description=tr("Cancel"), permissions=["cancel"])
    def cancel(self, request: HttpRequest, queryset: QuerySet[Campaign]) -> HttpResponse | None:
        """Cancel campaigns."""
        ledger = get_ledger()
        return self.decide(
            request,
            queryset,
            Sentence("Cancel these campaigns? What is pending is never sent. This is final."),
            lambda rows: ((each, partial(ledger.cancel, each.name)) for each in rows),
        )

    @admin.action(description=tr("Retry what was rejected"), permissions=["retry"])
    def retry(self, request: HttpRequest, queryset: QuerySet[Campaign]) -> HttpResponse | None:
        """Make rejected submissions pending."""
        ledger = get_ledger()
        return self.decide(
            request,
            queryset,
            Sentence(
                "Retry what was rejected of these campaigns? What may have been sent is left out."
            ),
            lambda rows: ((each, partial(ledger.retry, each.name)) for each in rows),
        )


class HistoryInline(_ReadOnly, _Inline):
    """What became of a submission."""

    model = History
    fields: ClassVar[Any] = (_TIME, "before", "after", "batch_no", "code", "shown_detail", "by")
    readonly_fields: ClassVar[Any] = fields
    ordering = ("id",)
    extra = 0

    def has_view_permission(self, *_: Any) -> bool:
        """Allow: the submission has a permission."""
        return True

    @admin.display(description=tr("detail"))
    def shown_detail(self, row: Any) -> str:
        """Return the detail, with the numbers in it masked."""
        return masked(translate(row.detail), is_masked=row.is_masked)


class _SubmissionAdmin(_Ledger):
    """Submissions."""

    list_select_related = ("content", "recipients", "campaign")
    inlines = (HistoryInline,)
    ordering = ("-id",)
    fields: ClassVar[Any] = (
        *("shown_key", "campaign", "state", "shown_reason", "shown_numbers", "size", "shown_text"),
        *("batch_no", "code", "safe_to_resend", "attempts", _QUEUED, _EXPIRES, _SENT, _ENDED),
    )
    readonly_fields: ClassVar[Any] = fields

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Read what the list shows in one query."""
        return super().get_queryset(request).select_related(*self.list_select_related)

    def get_search_fields(self, request: HttpRequest) -> tuple[str, ...]:
        """Let only who may see numbers search in the keys, which may have some."""
        return ("key",) if _may(request, SEE_NUMBERS) else ()

    def title_of(self, row: Any) -> str:
        """Return the key, or the id and the campaign."""
        if row.key is not None:
            return str(self.shown_key(row))
        return translate(
            Sentence("submission {number} of {campaign}", number=row.pk, campaign=row.campaign)
        )

    @admin.display(description=tr("key"), ordering="key", empty_value="")
    def shown_key(self, row: Any) -> str:
        """Return the key."""
        return str(row.shown_key(is_masked=row.is_masked))

    @admin.display(description=tr("reason"))
    def shown_reason(self, row: Any) -> str:
        """Return the reason."""
        return str(row.shown_reason(is_masked=row.is_masked))

    @admin.display(description=tr("recipients"))
    def shown_numbers(self, row: Any) -> str:
        """Return the numbers."""
        return str(row.shown_numbers(is_masked=row.is_masked))

    @admin.display(description=tr("text"))
    def shown_text(self, row: Any) -> str:
        """Return the text."""
        return str(row.shown_text(is_masked=row.is_masked))

    def has_resolve_permission(self, request: HttpRequest) -> bool:
        """Return whether the user may resolve."""
        return _may(request, "resolve_submission")

    def has_retry_permission(self, request: HttpRequest) -> bool:
        """Return whether the user may retry."""
        return _may(request, "retry_submission")

    def resolve(
        self,
        request: HttpRequest,
        queryset: QuerySet[Any],
        decision: DecisionName,
        question: Sentence,
    ) -> HttpResponse | None:
        """Decide what became of unknown submissions: each single send, and those of a campaign."""
        ledger = get_ledger()

        def decisions(rows: QuerySet[Any]) -> Iterable[tuple[Any, _Decide]]:
            by_campaign: dict[str, list[int]] = defaultdict(list)
            for row in rows:
                if row.campaign is not None:
                    by_campaign[row.campaign.name].append(row.pk)
                    continue
                yield self.title_of(row), partial(ledger.once.resolve, row.key, decision)
            for name, ids in by_campaign.items():
                yield name, partial(ledger.resolve, name, decision, submission_ids=ids)

        return self.decide(request, queryset, question, decisions)

    @admin.action(description=tr("Resolve as accepted"), permissions=["resolve"])
    def resolve_accepted(
        self, request: HttpRequest, queryset: QuerySet[Any]
    ) -> HttpResponse | None:
        """Record that they were sent."""
        return self.resolve(request, queryset, "accepted", Sentence("Record that these were sent?"))

    @admin.action(description=tr("Resolve as not sent"), permissions=["resolve"])
    def resolve_not_sent(
        self, request: HttpRequest, queryset: QuerySet[Any]
    ) -> HttpResponse | None:
        """Record that they were not sent."""
        return self.resolve(
            request,
            queryset,
            "not_sent",
            Sentence(
                "Record that these were not sent? They count as rejected, and can be retried."
            ),
        )

    @admin.action(
        description=tr("Send again, at the risk of a second copy"), permissions=["resolve"]
    )
    def resend(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        """Make them pending."""
        return self.resolve(
            request,
            queryset,
            "resend",
            Sentence("Send these again? Who has got the first copy gets a second one."),
        )


@admin.register(SingleSend)
class SingleSendAdmin(_SubmissionAdmin):
    """Single sends with a key."""

    list_display: Any = (
        *("shown_key", "state", "shown_numbers", "shown_text", "batch_no", "code"),
        *(_QUEUED, _ENDED),
    )
    list_filter = ("state",)
    actions = ("retry", "resolve_accepted", "resolve_not_sent", "resend")

    @admin.action(description=tr("Retry what was rejected"), permissions=["retry"])
    def retry(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        """Make rejected sends pending."""
        ledger = get_ledger()
        return self.decide(
            request,
            queryset,
            Sentence("Retry these sends? Each must have been rejected."),
            lambda rows: (
                (self.title_of(each), partial(ledger.once.retry, each.key)) for each in rows
            ),
        )


@admin.register(UnknownSubmission)
class UnknownSubmissionAdmin(_SubmissionAdmin):
    """What may have been sent, and waits for a person."""

    list_display: Any = (
        "id",
        "shown_key",
        "campaign",
        "shown_numbers",
        "size",
        "shown_reason",
        _SENT,
    )
    actions = ("resolve_accepted", "resolve_not_sent", "resend")
