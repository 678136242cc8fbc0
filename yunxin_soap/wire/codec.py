"""Convert a submission to an HTTP request, and a response to its result. Does no I/O.

The wire format comes from zeep: `zeep_adapter` captures one of its requests, which is the template
for every submission.
"""

from __future__ import annotations

import html
import re
import threading
from collections.abc import Mapping
from itertools import repeat
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn
from urllib.parse import parse_qsl

from lxml import etree

from yunxin_soap import wsdl
from yunxin_soap.codes import Category
from yunxin_soap.errors import ConfigurationRejected, OutcomeUnknown, invalid_request
from yunxin_soap.operation import ProtocolName
from yunxin_soap.redact import Redactor, truncate_printable
from yunxin_soap.transport.base import Request, Response
from yunxin_soap.wire import zeep_adapter
from yunxin_soap.wire.response_template import ResponseTemplate

if TYPE_CHECKING:
    from zeep.wsdl import Document

MAX_QUERY = 2048
"""ASP.NET rejects an HTTP GET whose query has this many characters before it reads it."""

_SOAP_ENV = {
    "soap": "http://schemas.xmlsoap.org/soap/envelope/",
    "soap12": "http://www.w3.org/2003/05/soap-envelope",
}
_XML_TYPES = re.compile(r"(?:text|application)/(?:[\w.-]+\+)?xml", re.IGNORECASE)
# The messages of ASP.NET on http-get and http-post before it calls the method. With customErrors
# off, the name of the exception precedes them. A message that the method itself throws looks the
# same otherwise, so only these may count as a rejection.
_BEFORE_THE_METHOD = re.compile(
    r"(?:[A-Za-z.]+Exception(?: \(0x[0-9A-Fa-f]{8}\))?: )?"
    r"(?:Missing parameter: \w+\."
    r"|Invalid method name "
    r"|\S+ Web Service method name is not valid\."
    r"|Request format is invalid: "
    r"|A potentially dangerous Request\.(?:Form|QueryString) value )"
)


# What a form need not escape, and the comma between numbers, which it must.
_QUOTED = re.compile(r"[^A-Za-z0-9_.~-]+")
_UNQUOTED_OR_COMMA = b",-.0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz~"

_FAULT_SHOWN = 240
"""Characters of a fault's text that an error quotes: fewer than an error may have."""
_NOT_A_RESPONSE = "XML that is not a response of sendMesExt"


class Fields(NamedTuple):
    """The six parameters of ``sendMesExt`` in the vendor's spelling."""

    userCode: str
    userPass: str
    DesNo: str
    Msg: str
    Channel: str
    ExeNo: str

    def __repr__(self) -> str:
        """Omit all: a caller of `service` may have put the password into the wrong field."""
        return "Fields(…)"


class _FilledTemplate:
    """The content of a request but for the numbers and the message.

    It contains the password, and its ``repr`` shows nothing.
    """

    __slots__ = ("end", "fields", "middle", "start")

    def __init__(
        self, fields: tuple[str, str, str, str], start: bytes, middle: bytes, end: bytes
    ) -> None:
        self.fields = fields
        """userCode, userPass, Channel and ExeNo, which it was filled with."""
        self.start, self.middle, self.end = start, middle, end


class Codec:
    """Encodes submissions and decodes responses for one protocol of one WSDL.

    Args:
        document: the parsed WSDL.
        protocol: one of the four protocols.
        path: the path of the service's page, such as ``/api/MsgSend.asmx``.
        redact: masks secrets in the excerpts that errors quote.

    Raises:
        ConfigurationError: the WSDL does not fit the protocol.
    """

    def __init__(
        self, document: Document, protocol: ProtocolName, path: str, redact: Redactor
    ) -> None:
        self.protocol = protocol
        self._redact = redact
        binding = wsdl.binding(document, protocol)
        captured = zeep_adapter.capture(document, binding)
        self.path = path + captured.address
        self._soap = protocol in _SOAP_ENV
        self._headers: Mapping[str, str] = dict(captured.headers)
        if self._soap:
            template, self._order = zeep_adapter.parse_template(captured.content.decode())
            self._escape = _escape
        else:
            if protocol == "http-post":
                names = [name for name, _ in parse_qsl(captured.content)]
            else:
                names = list(captured.content)
                # zeep sets a Content-Type although a GET has no content. The other header keeps
                # caches from answering for the gateway.
                self._headers = {"Cache-Control": "no-cache, no-store"}
            marked = "&".join(f"{name}=@@{name}@@" for name in names)
            template, self._order = zeep_adapter.parse_template(marked)
            self._escape = _quote
        self._template = [text.encode() for text in template[::2]]
        # Only two fields differ in most requests. Either may come first in the WSDL.
        self._varying = [place for place, index in enumerate(self._order) if index in (2, 3)]
        self._first, self._second = (self._order[place] for place in self._varying)
        self._filled: _FilledTemplate | None = None
        self._result_path = zeep_adapter.result_path(binding)
        self._response_template: ResponseTemplate | None = None

    def encode(self, fields: Fields) -> Request:
        """Return the request for one submission.

        Raises:
            InvalidRequest: the query of an HTTP GET would be too long for ASP.NET.
        """
        if self.protocol != "http-get":
            return Request("POST", self.path, self._headers, "", self._encode(fields))
        request = Request("GET", self.path, self._headers, self._encode(fields).decode())
        if len(request.query) >= MAX_QUERY:
            raise invalid_request(
                f"The query would have {len(request.query)} characters, but ASP.NET accepts fewer"
                f" than {MAX_QUERY} on HTTP GET: send to fewer numbers at once, or use protocol"
                " 'soap' or 'http-post'."
            )
        return request

    # In these methods, no local variable holds a text or bytes with the password: if a field cannot
    # be encoded, the error keeps their frames.

    def _encode(self, fields: Fields) -> bytes:
        filled, escape = self._filled, self._escape
        if filled is None or filled.fields != (fields[0], fields[1], fields[4], fields[5]):
            filled = self._filled = self._fill_template(fields)
        return b"".join(
            (
                filled.start,
                escape(fields[self._first]),
                filled.middle,
                escape(fields[self._second]),
                filled.end,
            )
        )

    def _fill_template(self, fields: Fields) -> _FilledTemplate:
        first, second = self._varying
        return _FilledTemplate(
            (fields[0], fields[1], fields[4], fields[5]),
            self._fill_range(fields, 0, first),
            self._fill_range(fields, first + 1, second),
            self._fill_range(fields, second + 1, len(self._order)),
        )

    def _fill_range(self, fields: Fields, start: int, stop: int) -> bytes:
        pairs = map(self._fill_place, repeat(fields), range(start, stop))
        return b"".join(pairs) + self._template[stop]

    def _fill_place(self, fields: Fields, place: int) -> bytes:
        return self._template[place] + self._escape(fields[self._order[place]])

    def decode(self, response: Response) -> str:
        """Return the result of the method; an empty or null result is ``""``.

        Raises:
            Rejected: an HTTP 4xx, a SOAP Client or Sender fault, or an error 500 on http-get or
                http-post that ASP.NET raises before it calls the method.
            OutcomeUnknown: anything else that is not a response of ``sendMesExt``.
        """
        template = self._response_template
        if template is not None and (number := template.match(response)) is not None:
            return number
        if 400 <= response.status < 500:
            self._reject(f"HTTP status {response.status}", response)
        root = self._parse(response)
        if self._soap:
            if root is not None and (response.status != 200 or b"Fault" in response.body):
                self._raise_fault(root, response)
        elif response.status == 500 and _media_type(response) == "text/plain":
            text = response.body.decode("utf-8", "replace").lstrip()
            if _BEFORE_THE_METHOD.match(text):
                first_line = html.unescape(text.splitlines()[0])
                self._reject(f"HTTP status 500: {first_line}", response)
        if response.status != 200:
            redirect = ", and redirects are not followed" if response.status // 100 == 3 else ""
            self._unknown(f"HTTP status {response.status}{redirect}", response)
        if root is None:
            self._unknown("something that is not readable XML", response)
        result = self._read_result(root, response)
        self._response_template = ResponseTemplate.learn(result, root, response) or template
        return result

    def _parse(self, response: Response) -> etree._Element | None:
        """Return the root of an XML response; None if it is not XML, or has a DTD."""
        if not _XML_TYPES.fullmatch(_media_type(response) or "text/xml"):
            return None
        try:
            root = etree.fromstring(response.body, _parser())
        except (etree.XMLSyntaxError, ValueError):
            return None
        return None if root.getroottree().docinfo.doctype else root

    def _raise_fault(self, root: etree._Element, response: Response) -> None:
        for version, namespace in _SOAP_ENV.items():
            fault = root.find(f"{{{namespace}}}Body/{{{namespace}}}Fault")
            if root.tag != f"{{{namespace}}}Envelope" or fault is None:
                continue
            if version == "soap":
                code, text = fault.findtext("faultcode"), fault.findtext("faultstring")
            else:
                code = fault.findtext(f"{{{namespace}}}Code/{{{namespace}}}Value")
                text = fault.findtext(f"{{{namespace}}}Reason/{{{namespace}}}Text")
            # 1.1 allows a code to be refined with dots, as in Client.Authentication.
            name = (code or "").strip().rpartition(":")[2].partition(".")[0]
            # Redact before joining the lines: a secret may have two blanks in it.
            said = truncate_printable(" ".join(self._redact(text or "").split()), _FAULT_SHOWN)
            what = self._redact(f"a SOAP {name or 'nameless'} fault")
            if said:
                what += f' ("{said}")'
            if name in ("Client", "Sender"):
                self._reject(what, response)
            self._unknown(what, response)

    def _read_result(self, root: etree._Element, response: Response) -> str:
        *wrappers, last = self._result_path
        nodes = [root]
        for tag in wrappers:
            if len(nodes) != 1 or nodes[0].tag != tag:
                self._unknown(_NOT_A_RESPONSE, response)
            nodes = list(nodes[0])
            if len(nodes) > 1:
                # Only a SOAP envelope may have a second child: a header.
                nodes = [node for node in nodes if not str(node.tag).endswith("}Header")]
        if wrappers and not nodes:
            return ""  # a null result has no element, so the wrapper is empty
        if len(nodes) != 1 or nodes[0].tag != last or len(nodes[0]):
            self._unknown(_NOT_A_RESPONSE, response)
        return nodes[0].text or ""

    def _reject(self, what: str, response: Response) -> NoReturn:
        what = truncate_printable(self._redact(what))
        raise ConfigurationRejected(
            f"The gateway rejected the request with {what.rstrip('.')}. No SMS was sent: check the"
            " endpoint, the protocol and the WSDL.",
            category=Category.CONFIGURATION,
            description_zh=what,
            description_en=what,
            http_status=response.status,
            safe_to_resend=True,
        )

    def _unknown(self, what: str, response: Response) -> NoReturn:
        what = truncate_printable(self._redact(what))
        raise OutcomeUnknown(
            f"The gateway responded with {what.rstrip('.')}. It is unknown whether the SMS was"
            " sent. Check with the vendor before you send it again.",
            excerpt=self._redact.excerpt(response.body),
            http_status=response.status,
        )


def _media_type(response: Response) -> str:
    return response.content_type.partition(";")[0].strip().lower()


def _escape(text: str) -> bytes:
    """Escape as zeep's serialiser does. A bare CR would arrive as LF."""
    if "&" in text or "<" in text or ">" in text or "\r" in text:
        text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        text = text.replace("\r", "&#13;")
    return text.encode()


def _quote(text: str) -> bytes:
    """Encode for a form as `urlencode` does, but several times as fast."""
    if text.isascii() and not text.encode().translate(None, _UNQUOTED_OR_COMMA):
        return text.encode().replace(b",", b"%2C")
    return _QUOTED.sub(_percent_encode, text).replace("%20", "+").encode()


def _percent_encode(found: re.Match[str]) -> str:
    return "%" + found[0].encode().hex("%").upper()


_thread_local = threading.local()


def _parser() -> etree.XMLParser[Any]:
    """Return the thread's parser: building one takes longer than parsing a response."""
    parser: etree.XMLParser[Any] | None = getattr(_thread_local, "parser", None)
    if parser is None:
        parser = _thread_local.parser = etree.XMLParser(
            resolve_entities=False,
            no_network=True,
            load_dtd=False,
            huge_tree=False,
            remove_comments=True,
            remove_pis=True,
        )
    return parser
