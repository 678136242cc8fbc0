"""A shop's service: codes to sign up with, and orders whose buyers get a notice by SMS."""

from __future__ import annotations

import logging
import os
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, TypedDict

from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from sqlalchemy import URL, delete, make_url, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from yunxin_soap import (
    AsyncClient,
    InvalidRequest,
    LedgerError,
    NotSent,
    OutcomeUnknown,
    RecipientsRejected,
    RecipientsSuppressed,
    Rejected,
    SendError,
)
from yunxin_soap.campaign import AsyncLedger

SECONDS_BETWEEN_CODES = 60
CODE_IS_VALID = 300
MOST_TRIES = 5
log = logging.getLogger("shop")


class Base(DeclarativeBase):
    """The tables of the shop. The ledger adds its own, `yunxin_…`, to the same database."""


class SignUp(Base):
    """The last code that was made for a phone."""

    __tablename__ = "sign_ups"
    phone: Mapped[str] = mapped_column(primary_key=True)
    code: Mapped[str]
    made_at: Mapped[float]
    tries: Mapped[int]


class Order(Base):
    """An order."""

    __tablename__ = "orders"
    id: Mapped[int] = mapped_column(primary_key=True)
    phone: Mapped[str]
    item: Mapped[str]


@dataclass(frozen=True)
class Shop:
    """What all requests share."""

    client: AsyncClient
    ledger: AsyncLedger
    sessions: async_sessionmaker[AsyncSession]


class State(TypedDict):
    """The state of the lifespan, as Starlette wants it."""

    shop: Shop


def async_address(address: str) -> URL:
    """Return the address of the database for SQLAlchemy's asyncio."""
    url = make_url(address)
    drivers = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+psycopg"}
    return url.set(drivername=drivers[url.get_backend_name()])


@asynccontextmanager
async def lifespan(_app: FastAPI) -> AsyncIterator[State]:
    """Open one client, one ledger and one engine for the life of the process."""
    database = os.environ["DATABASE_URL"]
    engine = create_async_engine(async_address(database))
    # Nobody waits a minute for a code: this client gives up sooner than by default. It takes one
    # number a call: a comma in what a user typed would make several.
    async with (
        AsyncClient.from_env(timeout=8, connect_timeout=2, max_recipients=1) as client,
        AsyncLedger(database) as ledger,
    ):
        async with engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)
        sessions = async_sessionmaker(engine, expire_on_commit=False)
        yield {"shop": Shop(client, ledger, sessions)}
    await engine.dispose()


def shop_of(request: Request) -> Shop:
    """Return what all requests share."""
    shop: Shop = request.state.shop
    return shop


ShopOfRequest = Annotated[Shop, Depends(shop_of)]
Phone = Annotated[str, Field(min_length=11, max_length=30)]  # as +86 139 0000 0000
app = FastAPI(lifespan=lifespan)


class NewCode(BaseModel):
    """The body of a request for a code."""

    phone: Phone


class GivenCode(BaseModel):
    """The body of a request that shows a code."""

    phone: Phone
    code: str


class NewOrder(BaseModel):
    """The body of an order."""

    phone: Phone
    item: str


@app.post("/codes")
async def send_code(given: NewCode, shop: ShopOfRequest) -> dict[str, str]:
    """Send a code to sign up with. The handlers below answer for the other three outcomes."""
    code = f"{secrets.randbelow(10**6):06}"
    submission = await shop.client.check([given.phone], f"您的验证码是{code}，5分钟内有效")
    (phone,) = submission.recipients
    # The code is kept before it is sent: it may arrive although the outcome is unknown.
    await keep_code(shop, phone, code)
    try:
        await shop.client.submit(submission)
    except SendError as error:
        if error.safe_to_resend:  # nobody has the code, so the next request need not wait
            async with shop.sessions.begin() as session:
                await session.execute(delete(SignUp).where(SignUp.phone == phone))
        raise
    return {"status": "sent"}


async def keep_code(shop: Shop, phone: str, code: str) -> None:
    """Keep the code, unless the phone had one a moment ago: an SMS costs money."""
    now = time.time()
    new = {"code": code, "made_at": now, "tries": 0}
    is_old = SignUp.made_at < now - SECONDS_BETWEEN_CODES
    try:
        async with shop.sessions.begin() as session:
            replaced = await session.execute(
                update(SignUp).where(SignUp.phone == phone, is_old).values(new).returning(SignUp)
            )
            if replaced.first() is None:
                session.add(SignUp(phone=phone, **new))
    except IntegrityError:
        wait = {"Retry-After": str(SECONDS_BETWEEN_CODES)}
        raise HTTPException(429, "a code was sent to this number a moment ago", wait) from None


@app.post("/codes/check", status_code=204)
async def check_code(given: GivenCode, shop: ShopOfRequest) -> None:
    """Check a code, which works once."""
    (phone,) = (await shop.client.check([given.phone], "您好")).recipients
    own = SignUp.phone == phone
    is_valid = SignUp.made_at > time.time() - CODE_IS_VALID
    async with shop.sessions.begin() as session:
        used = await session.execute(
            delete(SignUp)
            .where(own, is_valid, SignUp.code == given.code, SignUp.tries < MOST_TRIES)
            .returning(SignUp.phone)
        )
        is_right = used.first() is not None
        if not is_right:
            await session.execute(update(SignUp).where(own).values(tries=SignUp.tries + 1))
    if not is_right:
        raise HTTPException(403, "this code is wrong, or no longer valid")


@app.post("/orders", status_code=201)
async def place_order(given: NewOrder, shop: ShopOfRequest) -> dict[str, int]:
    """Place an order, and queue its notice in the same transaction: both, or neither."""
    settings = shop.client.settings
    async with shop.sessions.begin() as session:
        order = Order(phone=given.phone, item=given.item)
        session.add(order)
        await session.flush()  # the order gets its number
        try:
            await shop.ledger.once.enqueue(
                f"order-{order.id}",
                [order.phone],
                f"您的订单{order.id}已收到",
                channel=settings.channel or "",
                signature=settings.signature,
                max_recipients=settings.max_recipients,  # one, as above
                connection=session,
            )
        except RecipientsSuppressed:
            log.info("order %s: no notice, its buyer wants no SMS", order.id)
    return {"id": order.id}


@app.get("/health")
async def health(shop: ShopOfRequest) -> dict[str, int | float | None]:
    """Answer 200 while the database does, and say how the worker is doing."""
    backlog = await shop.ledger.backlog()
    return {
        "pending": backlog.pending,
        "unknown": backlog.unknown,  # a person has to decide: yunxin-soap campaign resolve
        "oldest_queued_age": backlog.oldest_queued_age,  # grows if no worker runs
    }


@app.exception_handler(InvalidRequest)
async def answer_invalid(_request: Request, error: InvalidRequest) -> JSONResponse:
    """Nothing was sent, and nothing will be until the request is corrected."""
    return JSONResponse({"status": "invalid", "detail": str(error)}, 422)


@app.exception_handler(RecipientsRejected)
async def answer_bad_number(_request: Request, error: RecipientsRejected) -> JSONResponse:
    """The gateway does not send to this number; the code says why."""
    return JSONResponse({"status": "rejected", "code": error.code}, 422)


@app.exception_handler(Rejected)
async def answer_rejected(_request: Request, error: Rejected) -> JSONResponse:
    """The gateway rejected it for a cause that is ours: balance, password, channel, text."""
    log.error("the SMS gateway rejects: %s", error)
    wait = {"Retry-After": "300"} if error.retryable else {}
    return JSONResponse({"status": "rejected"}, 503, wait)


@app.exception_handler(NotSent)
async def answer_not_sent(_request: Request, error: NotSent) -> JSONResponse:
    """Nothing reached the gateway: the same request may succeed at once."""
    log.warning("the SMS gateway was not reached: %s", error)
    return JSONResponse({"status": "not_sent"}, 503, {"Retry-After": "1"})


@app.exception_handler(OutcomeUnknown)
async def answer_unknown(_request: Request, error: OutcomeUnknown) -> JSONResponse:
    """The SMS may arrive: ask the user to look, and not to order another one at once."""
    log.warning("the SMS may have been sent: %s", error)
    return JSONResponse({"status": "unknown"}, 202)


@app.exception_handler(LedgerError)
async def answer_no_ledger(_request: Request, error: LedgerError) -> JSONResponse:
    """The database cannot be used."""
    log.error("%s", error)
    return JSONResponse({"status": "no database"}, 503)
