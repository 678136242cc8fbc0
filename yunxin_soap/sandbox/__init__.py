"""A local gateway that speaks the service's four ports, with an inbox; no SMS leaves it."""

from yunxin_soap.sandbox.config import Account, Channel, Config, load
from yunxin_soap.sandbox.gateway import Gateway, Submission
from yunxin_soap.sandbox.sandbox import Sandbox

__all__ = ["Account", "Channel", "Config", "Gateway", "Sandbox", "Submission", "load"]
