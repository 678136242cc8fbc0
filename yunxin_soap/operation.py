"""The names of the service's one operation, ``sendMesExt``, and of the protocols that carry it."""

from __future__ import annotations

from typing import Literal, get_args

NAMESPACE = "http://tempuri.org/"
OPERATION = "sendMesExt"
FIELDS = ("userCode", "userPass", "DesNo", "Msg", "Channel", "ExeNo")
"""The six parameters of ``sendMesExt``, in the vendor's spelling and order."""

ProtocolName = Literal["soap", "soap12", "http-get", "http-post"]
"""SOAP 1.1, SOAP 1.2, query string and form, over the four ports of the WSDL."""
PROTOCOLS: tuple[ProtocolName, ...] = get_args(ProtocolName)
