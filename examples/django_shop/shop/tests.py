"""The shop's tests: nothing is sent, and `outbox` has what would be."""

from unittest import mock

from django.test import TestCase

from shop.models import Order, SignUp
from yunxin_soap import NotSent, OutcomeUnknown
from yunxin_soap.django import get_client, get_ledger, outbox
from yunxin_soap.django.testing import OutboxTransport

MOBILE = "13900000000"


def fails_with(error: Exception) -> mock._patch:
    """Let the gateway fail."""
    return mock.patch.object(OutboxTransport, "send", side_effect=error)


class SignUpTests(TestCase):
    """The code."""

    def ask(self) -> int:
        """Ask for a code, and return the status."""
        return self.client.post("/code/", {"mobile": MOBILE}).status_code

    def test_code_verifies_once(self) -> None:
        """The code in the SMS is the one that is accepted, and only once."""
        self.assertEqual(self.ask(), 200)
        (message,) = outbox
        code = SignUp.objects.get().code
        self.assertEqual(message.message, f"您的验证码是{code}，5分钟内有效。【小店】")
        self.assertEqual(message.recipients, (MOBILE,))
        form = {"mobile": MOBILE, "code": code}
        self.assertEqual(self.client.post("/verify/", form | {"code": "x"}).status_code, 400)
        self.assertEqual(self.client.post("/verify/", form).status_code, 200)
        self.assertEqual(self.client.post("/verify/", form).status_code, 400)

    def test_second_code_has_to_wait(self) -> None:
        """Nobody can have one number flooded."""
        self.assertEqual([self.ask(), self.ask()], [200, 429])
        self.assertEqual(len(outbox), 1)

    def test_not_sent_may_be_tried_again_at_once(self) -> None:
        """*Not sent* is certain: the customer needs not wait."""
        with fails_with(NotSent("The gateway is away.")):
            self.assertEqual(self.ask(), 503)
        self.assertEqual(self.ask(), 200)

    def test_unknown_is_not_sent_again(self) -> None:
        """It may arrive, and its code is then valid."""
        with fails_with(OutcomeUnknown("The connection was cut.")):
            self.assertEqual([self.ask(), self.ask()], [200, 429])
        form = {"mobile": MOBILE, "code": SignUp.objects.get().code}
        self.assertEqual(self.client.post("/verify/", form).status_code, 200)

    def test_wrong_number_is_named(self) -> None:
        """A number with a digit too few is found before anything is sent."""
        response = self.client.post("/code/", {"mobile": "1390000000"})
        self.assertEqual(response.status_code, 400)
        self.assertEqual(outbox, [])

    def test_two_numbers_are_refused(self) -> None:
        """A comma in the field does not send the code to somebody else, too."""
        for path, more in (("/code/", {}), ("/order/", {"item": "茶"})):
            response = self.client.post(path, {"mobile": f"{MOBILE},13900000001"} | more)
            self.assertEqual(response.status_code, 400)
        self.assertEqual(outbox, [])
        self.assertFalse(Order.objects.exists())


class OrderTests(TestCase):
    """The notice."""

    def test_order_has_a_notice(self) -> None:
        """The notice is queued with the order, and the worker sends it once."""
        self.client.post("/order/", {"mobile": MOBILE, "item": "茶"})
        order = Order.objects.get()
        (notice,) = outbox
        self.assertEqual(notice.key, f"order-{order.pk}")
        self.assertEqual(notice.message, f"您的订单{order.pk}已收到：茶。【小店】")
        for _ in range(2):  # as a worker does
            get_ledger().once.send_queued(get_client(), f"order-{order.pk}")
        self.assertEqual([each.key for each in outbox], [None])

    def test_failed_order_has_none(self) -> None:
        """What is rolled back is not announced."""
        with self.assertRaises(LookupError):
            self.client.post("/order/", {"mobile": MOBILE, "item": "售罄"})
        self.assertFalse(Order.objects.exists())
        self.assertEqual(outbox, [])
