"""A user's code that sends SMS; the tests beside it test it."""

from __future__ import annotations

from yunxin_soap import AsyncClient, Client, OutcomeUnknown


def confirm(yunxin: Client, phone: str, order: str) -> str:
    """Send a customer the confirmation; return the note for the order."""
    try:
        return yunxin.send(phone, f"您的订单{order}已发货").batch_no
    except OutcomeUnknown:
        return "ask the vendor"


async def confirm_async(yunxin: AsyncClient, phone: str, order: str) -> str:
    """Send a customer the confirmation from asyncio; return the batch number."""
    return (await yunxin.send(phone, f"您的订单{order}已发货")).batch_no


def confirm_from_env(phone: str, order: str) -> str:
    """Send a customer the confirmation, with the settings of the environment."""
    with Client.from_env() as yunxin:
        return confirm(yunxin, phone, order)
