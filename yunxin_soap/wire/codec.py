"""The wire, without I/O: a submit to the bytes of an HTTP request, a response to its text answer.

All that is known here of the wire comes from zeep: `recorder` has it make one request, which is the
template that every submit is filled into.
"""

from __future__ import annotations

import html
import re
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn
from urllib.parse import parse_qsl, quote_plus

from lxml import etree

from yunxin_soap import wsdl
from yunxin_soap.codes import Category
from yunxin_soap.errors import ConfigurationRejected, InvalidRequest, OutcomeUnknown
from yunxin_soap.redact import Redactor, truncate_printable
from yunxin_soap.transport.base import Request, Response
from yunxin_soap.wire import zeep_adapter as recorder

if TYPE_CHECKING:
    from typing_extensions import Self
    from zeep.wsdl import Document
    from zeep.wsdl.definitions import Binding

MAX_QUERY = 2048
"""An HTTP GET whose query has this many characters is refused by ASP.NET before it is read."""

_SOAP_ENV = {
    "soap": "http://schemas.xmlsoap.org/soap/envelope/",
    "soap12": "http://www.w3.org/2003/05/soap-envelope",
}
_XML_TYPES = re.compile(r"(?:text|application)/(?:[\w.-]+\+)?xml", re.IGNORECASE)
# What ASP.NET says on the HTTP ports before it calls the method. With customErrors off the name
# of the exception stands before it. A text that the method itself throws looks the same otherwise,
# so nothing but these four may count as a refusal.
_BEFORE_THE_METHOD = re.compile(
    r"(?:[A-Za-z.]+Exception(?: \(0x[0-9A-Fa-f]{8}\))?: )?"
    r"(?:Missing parameter: \w+\."
    r"|Invalid method name "
    r"|\S+ Web Service method name is not valid\."
    r"|Request format is invalid: "
    r"|A potentially dangerous Request\.(?:Form|QueryString) value )"
)


_NUMBER = re.compile(rb"-?[0-9]{1,20}")
_NOT_THE_ANSWER = "XML that is not the answer of sendMesExt"


class Fields(NamedTuple):
    """The six parameters of ``sendMesExt`` in the vendor's spelling: here is the wire."""

    userCode: str
    userPass: str
    DesNo: str
    Msg: str
    Channel: str
    ExeNo: str

    def __repr__(self) -> str:
        """Show no password, number or text."""
        return f"Fields(userCode={self.userCode!r}, Channel={self.Channel!r})"


class Codec:
    """Encodes and decodes submits for one port of one WSDL; holds no state between them.

    Args:
        document: the parsed WSDL.
        port: which of the four ports to speak.
        path: the path of the service's page, as in ``/api/MsgSend.asmx``.
        redact: masks what errors quote from a response.

    Raises:
        ConfigurationError: the WSDL does not fit the port.
    """

    def __init__(
        self, document: Document, port: wsdl.ProtocolName, path: str, redact: Redactor
    ) -> None:
        self.port = port
        self._redact = redact
        binding = wsdl.binding(document, port)
        recorded = recorder.record(document, binding)
        self.path = path + recorded.address
        self._soap = port in _SOAP_ENV
        if self._soap:
            self._headers: Mapping[str, str] = dict(recorded.headers)
            template, self._order = recorder.split(recorded.content.decode())
            self._template = [part.encode() for part in template]
            self._encode = self._encode_soap
        elif port == "http-post":
            self._headers = dict(recorded.headers)
            self._names = [name for name, _ in parse_qsl(recorded.content)]
            self._encode = self._encode_form
        else:
            # zeep names a Content-Type, though a GET has no content. No cache may answer for the
            # gateway.
            self._headers = {"Cache-Control": "no-cache, no-store"}
            self._names = list(recorded.content)
            self._encode = self._encode_query
        self._answer_path = _answer_path(binding, port)
        self._known: _KnownAnswer | None = None

    def encode(self, fields: Fields) -> Request:
        """Return the request for one submit.

        Raises:
            InvalidRequest: the query of an HTTP GET would be too long for ASP.NET.
        """
        return self._encode(fields)

    def _encode_soap(self, fields: Fields) -> Request:
        parts = list(self._template)
        for place, index in enumerate(self._order):
            parts[2 * place + 1] = _escape(fields[index]).encode()
        return Request("POST", self.path, self._headers, body=b"".join(parts))

    def _encode_form(self, fields: Fields) -> Request:
        body = self._urlencode(fields).encode("ascii")
        return Request("POST", self.path, self._headers, body=body)

    def _encode_query(self, fields: Fields) -> Request:
        query = self._urlencode(fields)
        if len(query) >= MAX_QUERY:
            raise InvalidRequest(
                f"The query would have {len(query)} characters, and HTTP GET carries fewer than"
                f" {MAX_QUERY}: send to fewer numbers at once, or use protocol 'soap' or"
                " 'http-post'."
            )
        return Request("GET", self.path, self._headers, query=query)

    def _urlencode(self, fields: Fields) -> str:
        return "&".join(f"{name}={_quote(getattr(fields, name))}" for name in self._names)

    def decode(self, response: Response) -> str:
        """Return the text that the method answered; an empty or null result is ``""``.

        Raises:
            Rejected: an HTTP 4xx, a SOAP Client or Sender fault, or an HTTP-port 500 that ASP.NET
                raises before it calls the method.
            OutcomeUnknown: anything else that is not the answer of ``sendMesExt``.
        """
        known = self._known
        if known is not None and (number := known.read(response)) is not None:
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
        answer = self._read(root, response)
        self._known = _KnownAnswer.of(answer, root, response) or known
        return answer

    def _parse(self, response: Response) -> etree._Element | None:
        """Return the root of an XML answer; None for any other, also for one with a DTD."""
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
            # Masked first: a secret with two blanks in it must be met as it is.
            what = self._redact(f"a SOAP {name or 'nameless'} fault: {text or ''}")
            what = " ".join(what.split())
            if name in ("Client", "Sender"):
                self._reject(what, response)
            self._unknown(what, response)

    def _read(self, root: etree._Element, response: Response) -> str:
        *wrappers, last = self._answer_path
        nodes = [root]
        for tag in wrappers:
            if len(nodes) != 1 or nodes[0].tag != tag:
                self._unknown(_NOT_THE_ANSWER, response)
            nodes = list(nodes[0])
            if len(nodes) > 1:
                # A SOAP envelope may have a header; all else stands alone.
                nodes = [node for node in nodes if not str(node.tag).endswith("}Header")]
        if wrappers and not nodes:
            return ""  # a null result has no element: the wrapper alone is the answer
        if len(nodes) != 1 or nodes[0].tag != last or len(nodes[0]):
            self._unknown(_NOT_THE_ANSWER, response)
        return nodes[0].text or ""

    def _reject(self, what: str, response: Response) -> NoReturn:
        what = truncate_printable(self._redact(what))
        raise ConfigurationRejected(
            f"The gateway refused the request with {what.rstrip('.')}. Nothing was sent: check"
            " endpoint, protocol and WSDL.",
            category=Category.CONFIGURATION,
            description_zh=what,
            description_en=what,
            http_status=response.status,
        )

    def _unknown(self, what: str, response: Response) -> NoReturn:
        what = truncate_printable(self._redact(what))
        raise OutcomeUnknown(
            f"The gateway answered with {what.rstrip('.')}: whether the SMS was sent is unknown."
            " Check with the vendor before you send it again.",
            excerpt=self._redact.excerpt(response.body),
            http_status=response.status,
        )


class _KnownAnswer:
    """What stood around a number in an answer that was parsed, so that the next needs no parsing.

    The same bytes around another number are the same XML around another text; anything else, by
    one byte, is parsed again.
    """

    def __init__(self, content_type: str, before: bytes, after: bytes) -> None:
        self._content_type = content_type
        self._before, self._after = before, after

    @classmethod
    def of(cls, answer: str, root: etree._Element, response: Response) -> Self | None:
        """Return what is known from one answer: nothing, if the number's place is in doubt."""
        body, number = response.body, answer.encode()
        if (
            not _NUMBER.fullmatch(number)
            or str(root.getroottree().docinfo.encoding).lower() != "utf-8"
        ):
            return None
        before, found, after = body.partition(number)
        # A reference, CDATA or an instruction amid the digits may have made the number, and the one
        # in sight be another.
        odd = b"&" in body or b"<!" in body or body.find(b"<?", 1) > 0
        if odd or not found or number in after:
            return None
        return cls(response.content_type, before, after)

    def read(self, response: Response) -> str | None:
        """Return the number in an answer that is known so far; None for any other."""
        if response.status != 200 or response.content_type != self._content_type:
            return None
        body = response.body
        if not (body.startswith(self._before) and body.endswith(self._after)):
            return None
        number = body[len(self._before) : len(body) - len(self._after)]
        return number.decode() if _NUMBER.fullmatch(number) else None


def _media_type(response: Response) -> str:
    return response.content_type.partition(";")[0].strip().lower()


def _escape(text: str) -> str:
    """Escape as zeep's serialiser does; a bare CR would arrive as LF."""
    return (
        text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("\r", "&#13;")
    )


def _quote(text: str) -> str:
    """Encode for a form as `urlencode` does, which goes through 500 numbers byte by byte."""
    if text.isascii() and text.replace(",", "").isalnum():
        return text.replace(",", "%2C")
    return quote_plus(text)


_of_thread = threading.local()


def _parser() -> etree.XMLParser[Any]:
    """Return the thread's parser: making one takes longer than reading an answer with it."""
    parser: etree.XMLParser[Any] | None = getattr(_of_thread, "parser", None)
    if parser is None:
        parser = _of_thread.parser = etree.XMLParser(
            resolve_entities=False,
            no_network=True,
            load_dtd=False,
            huge_tree=False,
            remove_comments=True,
            remove_pis=True,
        )
    return parser


def _answer_path(binding: Binding, port: wsdl.ProtocolName) -> list[str]:
    """Name the elements from the root of an answer down to its text, as zeep knows them."""
    output: Any = binding.get(wsdl.OPERATION).output
    if port in _SOAP_ENV:
        namespace = output.nsmap["soap-env"]
        result = output.body.type.elements[0][1]
        tags = [output.body.qname.text, result.qname.text]
        return [f"{{{namespace}}}Envelope", f"{{{namespace}}}Body", *tags]
    (part,) = output.abstract.parts.values()
    return [part.element.qname.text]
