"""Send SMS through the Yunxin gateway (云信短信网关), with every outcome told apart."""

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
        Rejected,
        RequestInfo,
        SendError,
        YunxinError,
    )
    from yunxin_soap.message import Submission
    from yunxin_soap.results import Receipt

# Loaded on first use, so that importing the package costs next to nothing: the client brings in
# zeep and lxml.
_MODULES = {
    "AsyncClient": "async_client",
    "Client": "client",
    "Category": "codes",
    "ResultCode": "codes",
    "Receipt": "results",
    "Submission": "message",
}

__all__ = [
    "AsyncClient",
    "BalanceRejected",
    "Category",
    "ChannelRejected",
    "Client",
    "ConfigurationError",
    "ConfigurationRejected",
    "ContentConflict",
    "ContentRejected",
    "CredentialsRejected",
    "GatewayRejected",
    "InvalidRequest",
    "LedgerError",
    "NotInLedger",
    "NotSent",
    "Outcome",
    "OutcomeUnknown",
    "Receipt",
    "RecipientsRejected",
    "Rejected",
    "RequestInfo",
    "ResultCode",
    "SendError",
    "Submission",
    "YunxinError",
    "__version__",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_MODULES.get(name, 'errors')}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
