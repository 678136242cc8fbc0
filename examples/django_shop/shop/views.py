"""The shop's two places that send SMS."""

import logging
import secrets
from datetime import timedelta

from django.db import transaction
from django.http import HttpRequest, JsonResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from shop.models import Order, SignUp
from yunxin_soap import InvalidRequest, NotSent, OutcomeUnknown, Rejected
from yunxin_soap.django import get_client, get_ledger

log = logging.getLogger(__name__)
VALID = timedelta(minutes=5)
WAIT = timedelta(minutes=1)


@csrf_exempt  # for the shop's mobile app, not for browsers
@require_POST
def send_code(request: HttpRequest) -> JsonResponse:
    """Send a sign-up code, at once: the customer waits for it."""
    mobile, now = request.POST["mobile"], timezone.now()
    if SignUp.objects.filter(mobile=mobile, sent_at__gt=now - WAIT).exists():
        return JsonResponse({"error": "请一分钟后再试"}, status=429)
    code = f"{secrets.randbelow(1_000_000):06}"
    # Before it is sent: whatever happens, the code that arrives is valid.
    SignUp.objects.update_or_create(mobile=mobile, defaults={"code": code, "sent_at": now})
    try:
        get_client().send(mobile, f"您的验证码是{code}，5分钟内有效。")
    except InvalidRequest as error:
        return JsonResponse({"error": str(error)}, status=400)
    except NotSent:
        # It is safe to try again at once.
        SignUp.objects.filter(mobile=mobile).update(sent_at=now - WAIT)
        return JsonResponse({"error": "短信未发出，请重试"}, status=503)
    except Rejected as error:
        log.error("The gateway rejected a code: %s", error)  # noqa: TRY400 - no traceback
        return JsonResponse({"error": "短信发送失败"}, status=502)
    except OutcomeUnknown:
        pass  # it may arrive, and the customer may ask for another one after a minute
    return JsonResponse({"sent": True})


@csrf_exempt  # for the shop's mobile app, not for browsers
@require_POST
def verify(request: HttpRequest) -> JsonResponse:
    """Check a code."""
    found = SignUp.objects.filter(
        mobile=request.POST["mobile"], verified=False, sent_at__gt=timezone.now() - VALID
    ).first()
    if found is None or not secrets.compare_digest(found.code, request.POST["code"]):
        return JsonResponse({"error": "验证码不正确"}, status=400)
    SignUp.objects.filter(pk=found.pk).update(verified=True)
    return JsonResponse({"verified": True})


@csrf_exempt  # for the shop's mobile app, not for browsers
@require_POST
def place_order(request: HttpRequest) -> JsonResponse:
    """Take an order, and queue its notice: both are committed together, or neither is."""
    try:
        with transaction.atomic():
            order = Order.objects.create(mobile=request.POST["mobile"], item=request.POST["item"])
            get_ledger().once.enqueue(
                f"order-{order.pk}", order.mobile, f"您的订单{order.pk}已收到：{order.item}。"
            )
            take_from_stock(order.item)
    except InvalidRequest as error:
        return JsonResponse({"error": str(error)}, status=400)
    return JsonResponse({"order": order.pk})


def take_from_stock(item: str) -> None:
    """Take an item from the stock.

    Raises:
        LookupError: there is none.
    """
    if item == "售罄":
        raise LookupError("There is none left.")
