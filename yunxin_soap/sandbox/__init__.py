"""A local gateway that speaks the service's four ports, with an inbox; no SMS leaves it."""

from yunxin_soap.sandbox.accounts import Account, Channel, Config, load
from yunxin_soap.sandbox.embedded import Sandbox
from yunxin_soap.sandbox.gateway import Gateway, Submission

__all__ = ["Account", "Channel", "Config", "Gateway", "Sandbox", "Submission", "load"]
