"""Code of somebody's own that sends SMS: what the example tests."""

from __future__ import annotations

from yunxin_soap import AsyncClient, Client, OutcomeUnknown


def confirm(yunxin: Client, phone: str, order: str) -> str:
    """Tell a customer; return what to note about it."""
    try:
        return yunxin.send(phone, f"您的订单{order}已发货").batch_no
    except OutcomeUnknown:
        return "ask the vendor"


async def confirm_async(yunxin: AsyncClient, phone: str, order: str) -> str:
    """The same from asyncio."""
    return (await yunxin.send(phone, f"您的订单{order}已发货")).batch_no
