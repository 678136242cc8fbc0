"""Send SMS through the Yunxin gateway (云信短信网关), with four distinct outcomes."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from yunxin_soap._version import __version__

if TYPE_CHECKING:
    from yunxin_soap.async_client import AsyncClient
    from yunxin_soap.client import Client
    from yunxin_soap.codes import Category, ResultCode
    from yunxin_soap.errors import (
        BalanceRejected,
        ChannelRejected,
        ConfigurationError,
        ConfigurationRejected,
        ContentConflict,
        ContentRejected,
        CredentialsRejected,
        GatewayRejected,
        InvalidRequest,
        LedgerError,
        NotInLedger,
        NotSent,
        Outcome,
        OutcomeUnknown,
        RecipientsRejected,
        RecipientsSuppressed,
        Rejected,
        RequestInfo,
        SendError,
        SendExpired,
        YunxinError,
    )
    from yunxin_soap.message import Submission, count_segments
    from yunxin_soap.observer import (
        Observation,
        Observer,
        SubmissionEnded,
        SubmissionStarted,
        observe,
    )
    from yunxin_soap.operation import ProtocolName
    from yunxin_soap.results import Receipt
    from yunxin_soap.settings import ClientArguments, ClientOptions, Endpoint, Settings
    from yunxin_soap.transport.base import AsyncTransport, Request, Response, Transport

# The module of each name that is not an error. Modules load on first use, so that importing the
# package is fast: the client needs zeep and lxml.
_MODULES = {
    "AsyncClient": "async_client",
    "AsyncTransport": "transport.base",
    "Category": "codes",
    "Client": "client",
    "ClientArguments": "settings",
    "ClientOptions": "settings",
    "Endpoint": "settings",
    "Observation": "observer",
    "Observer": "observer",
    "ProtocolName": "operation",
    "Receipt": "results",
    "Request": "transport.base",
    "Response": "transport.base",
    "ResultCode": "codes",
    "Settings": "settings",
    "Submission": "message",
    "SubmissionEnded": "observer",
    "SubmissionStarted": "observer",
    "Transport": "transport.base",
    "count_segments": "message",
    "observe": "observer",
}

__all__ = [
    "AsyncClient",
    "AsyncTransport",
    "BalanceRejected",
    "Category",
    "ChannelRejected",
    "Client",
    "ClientArguments",
    "ClientOptions",
    "ConfigurationError",
    "ConfigurationRejected",
    "ContentConflict",
    "ContentRejected",
    "CredentialsRejected",
    "Endpoint",
    "GatewayRejected",
    "InvalidRequest",
    "LedgerError",
    "NotInLedger",
    "NotSent",
    "Observation",
    "Observer",
    "Outcome",
    "OutcomeUnknown",
    "ProtocolName",
    "Receipt",
    "RecipientsRejected",
    "RecipientsSuppressed",
    "Rejected",
    "Request",
    "RequestInfo",
    "Response",
    "ResultCode",
    "SendError",
    "SendExpired",
    "Settings",
    "Submission",
    "SubmissionEnded",
    "SubmissionStarted",
    "Transport",
    "YunxinError",
    "__version__",
    "count_segments",
    "observe",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_MODULES.get(name, 'errors')}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
