"""A local gateway that speaks the service's four protocols, with an inbox; it sends no SMS."""

try:
    import aiohttp as _aiohttp  # noqa: F401 - missing extras are reported here
    import filelock as _filelock  # noqa: F401 - as above
    import jinja2 as _jinja2  # noqa: F401 - as above
    import pydantic as _pydantic  # noqa: F401 - as above
except ModuleNotFoundError as error:
    from yunxin_soap.extras import missing_extra
    from yunxin_soap.sentences import Sentence

    raise missing_extra(
        Sentence("The sandbox needs {library}", library=error.name), "sandbox"
    ) from error

from yunxin_soap.sandbox.access import Access, Login
from yunxin_soap.sandbox.arrivals.models import Arrival, Outcome, StorageError
from yunxin_soap.sandbox.arrivals.sqlite import SqliteArrivals
from yunxin_soap.sandbox.arrivals.store import ArrivalStore, StoreLimits
from yunxin_soap.sandbox.config import Account, Channel, Config
from yunxin_soap.sandbox.faults.model import Fault, FaultKind
from yunxin_soap.sandbox.gateway import Gateway, GatewayDecision
from yunxin_soap.sandbox.sandbox import InjectedFault, Sandbox
from yunxin_soap.sandbox.server.limits import ServerLimits

__all__ = [
    "Access",
    "Account",
    "Arrival",
    "ArrivalStore",
    "Channel",
    "Config",
    "Fault",
    "FaultKind",
    "Gateway",
    "GatewayDecision",
    "InjectedFault",
    "Login",
    "Outcome",
    "Sandbox",
    "ServerLimits",
    "SqliteArrivals",
    "StorageError",
    "StoreLimits",
]
