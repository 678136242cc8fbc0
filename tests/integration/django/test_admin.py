"""The admin: who sees what, and who may decide what, in whose name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client as Browser
from django.test import override_settings
from django.utils.formats import localize
from django.utils.translation import override

from tests.integration.django.conftest import in_test_case
from yunxin_soap import Client, OutcomeUnknown, Request, Response
from yunxin_soap.campaign import CampaignState, State
from yunxin_soap.django import DjangoLedger, get_ledger
from yunxin_soap.django.models import Campaign, History, SingleSend, Submission, UnknownSubmission

TO = "13900000000"
VIEWS = ("view_campaign", "view_singlesend", "view_unknownsubmission")
PAGES = ("campaign", "singlesend", "unknownsubmission")


class Answers:
    """A transport that answers with one result; without one, the outcome is unknown."""

    def __init__(self, result: str = "") -> None:
        self.result = result

    def send(self, request: Request, *, valid_until: float | None = None) -> Response:
        if not self.result:
            raise OutcomeUnknown("The connection was cut.")
        text = f'<string xmlns="http://tempuri.org/">{self.result}</string>'
        return Response(200, "text/xml; charset=utf-8", text.encode())

    def close(self) -> None:
        """Do nothing."""


def client(result: str = "") -> Client:
    return Client("demo", "demo", channel="37", protocol="http-post", transport=Answers(result))


@pytest.fixture
def ledger(alias: str) -> Iterator[DjangoLedger]:
    """A ledger with a campaign, and with a single send of each kind."""
    with in_test_case(alias):
        found = get_ledger()
        found.plan("june", [TO], "六月【签名】", channel=37)
        found.once.enqueue(f"code-{TO}", TO, "验证码8317")
        with client() as cut, pytest.raises(OutcomeUnknown):
            found.once.send(cut, "lost", TO, "订单【签名】")
        with client("-7") as poor, pytest.raises(Exception, match="-7"):
            found.once.send(poor, "refused", TO, "订单【签名】")
        yield found


def browser(*permissions: str) -> Browser:
    """Return a browser of a member of the staff."""
    user = User.objects.create_user("王芳", password="x", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=[*VIEWS, *permissions]))
    found = Browser()
    found.force_login(user)
    return found


def page(found: Browser, model: str, pk: int | None = None) -> str:
    response = found.get(f"/admin/yunxin/{model}/" + (f"{pk}/change/" if pk else ""))
    assert response.status_code == 200
    return response.content.decode()


def act(found: Browser, model: str, action: str, *rows: Any, confirmed: bool = True) -> str:
    """Choose an action for some rows, confirm it, and return the page that follows."""
    form: dict[str, Any] = {"action": action, "_selected_action": [row.pk for row in rows]}
    asked = found.post(f"/admin/yunxin/{model}/", {**form, "index": "0"})
    if not confirmed or asked.status_code != 200:
        return asked.content.decode()
    done = found.post(f"/admin/yunxin/{model}/", {**form, "confirmed": "yes"}, follow=True)
    return done.content.decode()


def single(key: str) -> SingleSend:
    return SingleSend.objects.get(key=key)


def test_admin_masks_numbers_and_texts(ledger: DjangoLedger) -> None:
    """Only a user with the permission sees numbers, in keys too, and texts with their codes."""
    queued = single(f"code-{TO}")
    viewer = browser()
    shown = [page(viewer, model) for model in PAGES]
    shown += [page(viewer, "singlesend", queued.pk), page(viewer, "singlesend", single("lost").pk)]
    for text in shown:
        assert TO not in text
        assert "8317" not in text
    assert "code-139****0000" in shown[1]
    assert "june" in shown[0]
    assert "The connection was cut." in shown[4]
    # A search would tell what is masked.
    assert page(viewer, "singlesend").count("searchbar") == 0
    User.objects.all().delete()
    text = page(browser("view_numbers"), "singlesend", queued.pk)
    assert f"code-{TO}" in text
    assert "验证码8317【签名】" in text


def test_admin_only_reads(ledger: DjangoLedger) -> None:
    """Even a superuser adds, changes and deletes nothing by hand."""
    found = Browser()
    found.force_login(User.objects.create_superuser("root", password="x"))
    for model in PAGES:
        assert found.get(f"/admin/yunxin/{model}/add/").status_code == 403
        assert "delete_selected" not in page(found, model)
    pk = single("lost").pk
    for name in ("change", "delete"):
        assert found.post(f"/admin/yunxin/singlesend/{pk}/{name}/", {}).status_code == 403
    assert "submitting to unknown" not in page(found, "campaign", Campaign.objects.get().pk)
    assert "pending: 1" in page(found, "campaign", Campaign.objects.get().pk)


def test_admin_without_permission_has_no_action(ledger: DjangoLedger) -> None:
    """A user who may only look is offered nothing, and what is sent by hand does nothing."""
    found = browser()
    for model in PAGES:
        assert 'name="action"' not in page(found, model)
    act(found, "campaign", "cancel", Campaign.objects.get())
    act(found, "unknownsubmission", "resend", UnknownSubmission.objects.get())
    assert ledger.status("june").state is CampaignState.OPEN
    assert list(ledger.once.keys(State.UNKNOWN)) == ["lost"]


def test_admin_decides_about_campaigns(ledger: DjangoLedger) -> None:
    """Pause, resume and cancel carry the user's name, once they are confirmed."""
    found, june = browser("pause_campaign", "cancel_campaign"), Campaign.objects.get()
    assert "Retry" not in page(found, "campaign")
    assert "june" in act(found, "campaign", "pause", june, confirmed=False)
    assert ledger.status("june").state is CampaignState.OPEN
    assert "Done for 1." in act(found, "campaign", "pause", june)
    assert (ledger.status("june").state, ledger.status("june").reason) == (
        CampaignState.PAUSED,
        "by 王芳",
    )
    act(found, "campaign", "resume", june)
    assert ledger.status("june").state is CampaignState.OPEN
    act(found, "campaign", "cancel", june)
    assert ledger.status("june").state is CampaignState.CANCELLED
    # What the ledger refuses is shown.
    assert "&#x27;june&#x27; was cancelled" in act(found, "campaign", "resume", june)
    assert History.objects.get(submission__campaign=june, after="cancelled").by == "王芳"


def test_admin_decides_about_single_sends(ledger: DjangoLedger) -> None:
    """Retry and the three decisions about what is unknown carry the user's name."""
    found = browser("resolve_submission", "retry_submission")
    assert "Done for 1." in act(found, "singlesend", "retry", single("refused"))
    assert single("refused").state == "pending"
    # One that cannot be decided does not keep the others from it.
    text = act(found, "singlesend", "resolve_accepted", single("refused"), single("lost"))
    assert "Done for 1." in text
    assert "there is nothing to resolve" in text
    assert single("lost").state == "accepted"
    assert {each.by for each in History.objects.filter(before="unknown")} == {"王芳"}


@pytest.mark.parametrize(
    ("action", "state"),
    [("resolve_accepted", "accepted"), ("resolve_not_sent", "rejected"), ("resend", "pending")],
)
def test_admin_resolves_what_is_unknown(ledger: DjangoLedger, action: str, state: str) -> None:
    """Those of campaigns and single sends are decided together."""
    of_campaign = Submission.objects.get(campaign__name="june")
    Submission.objects.filter(pk=of_campaign.pk).update(state="unknown", attempts=1)
    rows = UnknownSubmission.objects.all()
    assert rows.count() == 2
    found = browser("resolve_submission")
    assert "submission" in act(found, "unknownsubmission", action, *rows, confirmed=False)
    assert "Done for 2." in act(found, "unknownsubmission", action, *rows)
    assert {single("lost").state, Submission.objects.get(pk=of_campaign.pk).state} == {state}
    assert UnknownSubmission.objects.count() == 0


def test_admin_is_chinese_if_django_is(ledger: DjangoLedger) -> None:
    """Headings, states, reasons, decisions and refusals are in the active language."""
    found, june = browser("pause_campaign", "cancel_campaign"), Campaign.objects.get()
    lost = single("lost").pk
    with override("zh-hans"):
        assert "群发任务" in page(found, "campaign")
        assert "未完成" in page(found, "campaign")
        assert "待发送: 1" in page(found, "campaign", june.pk)
        shown = page(found, "singlesend", lost)
        for each in ("结果未知", "变更记录", "操作人", "可安全重发", f"提交 {lost}"):
            assert each in shown
        assert "待发送的将不再发送" in act(found, "campaign", "cancel", june, confirmed=False)
        assert "已处理 1 项。" in act(found, "campaign", "cancel", june)
        assert "已取消" in page(found, "campaign")
        # What the ledger refuses, too.
        assert "june&#x27; 已取消" in act(found, "campaign", "resume", june)
    assert "cancelled" in page(found, "campaign")


def test_admin_shows_times_in_the_zone_of_django(ledger: DjangoLedger) -> None:
    """A list and a page show the same time, as Django writes times."""
    found, lost = browser(), single("lost")
    assert lost.ended is not None
    with override_settings(TIME_ZONE="Asia/Shanghai", USE_TZ=True), override("zh-hans"):
        ended = localize(lost.ended.astimezone(ZoneInfo("Asia/Shanghai")))
        assert ended in page(found, "singlesend")
        shown = page(found, "singlesend", lost.pk)
    assert shown.count(ended) >= 2  # the submission's, and that of its history
    assert "+00:00" not in shown
