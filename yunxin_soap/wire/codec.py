"""Convert a submission to an HTTP request, and a response to its result. Does no I/O.

The wire format comes from zeep: `zeep_adapter` captures one of its requests, which is the template
for every submission.
"""

from __future__ import annotations

import codecs
import html
import re
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from itertools import repeat
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import parse_qsl

from lxml import etree

from yunxin_soap.codes import REJECTED_STATUSES, TOO_MANY_REQUESTS, Category
from yunxin_soap.errors import ConfigurationRejected, OutcomeUnknown, SendError, invalid_request
from yunxin_soap.message import Submission, check_request_validation
from yunxin_soap.operation import FIELDS, NAMESPACE, OPERATION, ProtocolName
from yunxin_soap.redact import Redactor, truncate_printable
from yunxin_soap.sentences import Sentence, joined_by_and
from yunxin_soap.transport.base import Request, Response
from yunxin_soap.wire import zeep_adapter
from yunxin_soap.wire.response_template import ResponseTemplate

if TYPE_CHECKING:
    from yunxin_soap.wire.zeep_adapter import Wsdl

MAX_QUERY = 2048
"""ASP.NET rejects an HTTP GET whose query has this many characters before it reads it."""
NO_CACHE = {"Cache-Control": "no-cache, no-store"}
"""Keeps caches from answering an HTTP GET for the gateway."""
# What a form need not escape, and the comma between numbers, which it must.
_QUOTED = re.compile(r"[^A-Za-z0-9_.~-]+")
_UNQUOTED_OR_COMMA = b",-.0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz~"

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
# With customErrors off, the text has a stack trace, and this in it if the method was called. Mono
# writes a blank before the bracket.
_IN_THE_METHOD = re.compile(rf"\.{OPERATION} ?\(")

_BLANKS = " \t\r\n"
# The longest first: the mark of UTF-16 is the start of the mark of UTF-32.
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_NOT_CHARSETS = frozenset({"idna", "punycode", "raw-unicode-escape", "unicode-escape"})
"""Text encodings of Python that no server means. Some take very long for a long text."""
_LONGEST_CHARSET = 40
_DECLARED_ENCODING = re.compile(
    rb"""\A(<\?xml\s+version\s*=\s*(?:"[^"]*"|'[^']*')\s+encoding\s*=\s*)(?:"[^"]*"|'[^']*')"""
)

_ESCAPED = re.compile(r"&(?:#[0-9]{1,10}|#x[0-9a-f]{1,8}|[a-z]{2,6});|\\u00(?P<byte>[0-7][0-9a-f])")
_NAMESPACE_HOST = NAMESPACE.removeprefix("http://").strip("/")
_RESULT_IN_ELEMENT = re.compile(r">\s*[-\d&]")
"""What follows an element's name if its text may be a result. ``&`` may become a digit."""
_LONG_NUMBER = re.compile(r"\d{15}")
"""Digits that may be a batch number."""
_NEAR = 1000
"""How many characters after its response's name a batch number may be, referred to or nested."""
_LEVELS_OF_ESCAPING = 4
"""A page may quote a page that quotes the response."""

_TEXT_SHOWN = 240
"""Characters of a fault's or a page's text that an error quotes: fewer than an error may have."""
_NAME_SHOWN = 40
"""Characters of a name that an error quotes."""
_NOT_A_RESPONSE = Sentence("XML that is not a response of {operation}", operation=OPERATION)
_NIL_OR_REFERENCE = Sentence(
    "a result that is marked as null or as a reference, and yet has a text"
)
_BATCH_NUMBER = Sentence("what may be a batch number")


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


class _Document(NamedTuple):
    """An XML response."""

    root: etree._Element
    encoding: str
    """The encoding that it was read in, as a Python or an XML name."""


class _Fault(NamedTuple):
    """A SOAP fault, in either version."""

    name: str
    """The code without prefix and details; empty if there is none, or more than one."""
    text: str
    has_batch_number: bool = False
    """Whether any part of it has what may be a batch number."""
    is_alone: bool = True
    """Whether it is the only content of the envelope's body."""

    @property
    def blames_client(self) -> bool:
        """Whether the server says that the request was wrong, so that it did not run it."""
        is_sure = self.is_alone and not self.has_batch_number
        return is_sure and self.name in ("Client", "Sender")


class Codec:
    """Encodes submissions and decodes responses for one protocol of one WSDL.

    Args:
        wsdl: the parsed WSDL.
        protocol: one of the four protocols.
        path: the path of the service's page, such as ``/api/MsgSend.asmx``.
        redact: masks secrets in the excerpts that errors quote.

    Raises:
        ConfigurationError: the WSDL does not fit the protocol.
    """

    def __init__(self, wsdl: Wsdl, protocol: ProtocolName, path: str, redact: Redactor) -> None:
        self.protocol = protocol
        self._redact = redact
        captured = zeep_adapter.capture(wsdl, protocol)
        self.path = path + captured.address
        self._soap = protocol in _SOAP_ENV
        self._headers: Mapping[str, str] = dict(captured.headers)
        if self._soap:
            template, self.order = zeep_adapter.parse_template(captured.content.decode())
            self.escape = _escape
        else:
            if protocol == "http-post":
                names = [name for name, _ in parse_qsl(captured.content)]
            else:
                names = list(captured.content)
                # zeep sets a Content-Type although a GET has no content.
                self._headers = NO_CACHE
            marked = "&".join(f"{name}=@@{name}@@" for name in names)
            template, self.order = zeep_adapter.parse_template(marked)
            self.escape = _quote
        self._template = [text.encode() for text in template[::2]]
        self._result_path = zeep_adapter.result_path(wsdl, protocol)
        self._response_template: ResponseTemplate | None = None

    def encode(self, fields: Fields) -> Request:
        """Return the request for one submission.

        Raises:
            InvalidRequest: the query of an HTTP GET would be too long for ASP.NET.
        """
        return self.request(self.fill(fields, 0, len(FIELDS)))

    # In the next methods and in `SubmissionEncoder`, no local variable holds a text or bytes with
    # the password while a field may turn out not to be encodable: the error keeps their frames.

    def fill(self, fields: Fields, start: int, stop: int) -> bytes:
        """Return a part of the content: what is around some fields, and these fields.

        Args:
            fields: all fields.
            start: the place of the first field in the WSDL.
            stop: the place after the last one.
        """
        pairs = map(self._fill_place, repeat(fields), range(start, stop))
        return b"".join(pairs) + self._template[stop]

    def _fill_place(self, fields: Fields, place: int) -> bytes:
        return self._template[place] + self.escape(fields[self.order[place]])

    def request(self, content: bytes) -> Request:
        """Return the request with a content, which is a query if the protocol is http-get.

        Raises:
            InvalidRequest: the query would be too long for ASP.NET.
        """
        if self.protocol != "http-get":
            return Request("POST", self.path, self._headers, "", content)
        request = Request("GET", self.path, self._headers, content.decode())
        del content
        check_query_length(len(request.query))
        return request

    def decode(self, response: Response) -> str:
        """Return the result of the method; an empty or null result is ``""``.

        Raises:
            Rejected: an HTTP status in `REJECTED_STATUSES`, a SOAP Client or Sender fault, or an
                error 500 on http-get or http-post that ASP.NET raises before it calls the method.
            OutcomeUnknown: anything else that is not a response of ``sendMesExt``, and every
                response that contradicts itself.
        """
        template = self._response_template
        if template is not None and (number := template.match(response)) is not None:
            return number
        # An error keeps this frame, and the response may echo the password. So no local variable
        # here may hold a text of the response.
        ending = self._read(response)
        if isinstance(ending, SendError):
            raise ending
        return ending

    def decode_other(
        self, response: Response, read: Callable[[etree._Element], Any], operation: str
    ) -> Any:
        """Return the result of another operation than ``sendMesExt``.

        Args:
            response: the response.
            read: finds the result below the root of the response; any error means that it is none.
            operation: the operation's name.

        Raises:
            Rejected: as in `decode`.
            OutcomeUnknown: anything else that is not a response of the operation.
        """
        document = self._read_document(response, operation)
        if isinstance(document, SendError):
            raise document
        # The error is dropped: its frames hold the response, which may echo the request.
        with suppress(Exception):
            return read(document.root)
        name = truncate_printable(operation, _NAME_SHOWN)
        what = Sentence("XML that is not a response of {operation}", operation=name)
        raise self._unknown(what, response)

    def _read(self, response: Response) -> str | SendError:
        """Return the result in a response, or the error that the response means."""
        document = self._read_document(response, OPERATION)
        if isinstance(document, SendError):
            return document
        result, problem = self._find_result(document.root)
        if result.lstrip().startswith("-") and _mentions_result(result, OPERATION):
            problem = _contradiction(Sentence("a code"), Sentence("another result"))
        if problem:
            return self._unknown(problem, response)
        learned = ResponseTemplate.learn(result, document.encoding, response)
        self._response_template = learned or self._response_template
        return result

    def _read_document(self, response: Response, operation: str) -> _Document | SendError:
        """Return the document of a response that is neither a fault nor an error page."""
        document = _parse(response)
        refusal = self._read_refusal(document, response)
        if isinstance(refusal, SendError):
            return refusal
        if refusal is not None:
            if any(_mentions_result(text, operation) for text in _texts(response, document)):
                name = truncate_printable(operation, _NAME_SHOWN)
                result = Sentence("a result of {operation}", operation=name)
                return self._unknown(_contradiction(refusal, result), response)
            return self._rejected(refusal, response)
        status = response.status
        if status != 200:
            if status // 100 == 3:
                redirect = Sentence(
                    "HTTP status {status}, and redirects are not followed", status=status
                )
                return self._unknown(redirect, response)
            return self._unknown(_status(status), response)
        if document is None or not _is_xml(response):
            kind = truncate_printable(self._redact(response.content_type), 80)
            what = Sentence(
                "something that is not readable XML (Content-Type {kind})",
                kind=kind or Sentence("missing"),
            )
            return self._unknown(what, response)
        return document

    def _read_refusal(
        self, document: _Document | None, response: Response
    ) -> str | OutcomeUnknown | None:
        """Return what says that the request was rejected; None if nothing does.

        What says that it was processed after all is an `OutcomeUnknown`.
        """
        status = response.status
        fault = None if document is None else _find_fault(document.root)
        said = "" if fault is None else self._describe_fault(fault)
        if status in REJECTED_STATUSES:
            refusal = _status(status)
            if fault is None:
                return refusal
            if fault.blames_client:
                return joined_by_and([refusal, said])
            return self._unknown(_contradiction(refusal, said), response)
        if fault is not None and self._soap and _is_xml(response):
            if status not in (200, 500):  # those that SOAP has for a fault, by habit or by rule
                return self._unknown(joined_by_and([_status(status), said]), response)
            if fault.blames_client:
                return said
            return self._unknown(said, response)
        if status == 500 and not self._soap and _media_type(response) == "text/plain":
            text = _decode_text(response).lstrip()
            if _BEFORE_THE_METHOD.match(text) and not _IN_THE_METHOD.search(text):
                quoted = self._quote(_unescape(text.splitlines()[0]))
                if _LONG_NUMBER.search(text):
                    said = Sentence("HTTP status 500: {text}", text=quoted)
                    return self._unknown(joined_by_and([said, _BATCH_NUMBER]), response)
                return Sentence("HTTP status 500: {text}", text=quoted.rstrip("."))
        return None

    def _describe_fault(self, fault: _Fault) -> str:
        if not fault.is_alone:
            return Sentence("a SOAP fault beside other content")
        said = self._quote(fault.text)
        name = self._quote(fault.name, _NAME_SHOWN) or Sentence("nameless")
        what = Sentence("a SOAP {name} fault", name=name)
        if said:
            what = Sentence('a SOAP {name} fault ("{text}")', name=name, text=said)
        return joined_by_and([what, _BATCH_NUMBER]) if fault.has_batch_number else what

    def _quote(self, text: str, limit: int = _TEXT_SHOWN) -> str:
        """Redact a text of the response, put it on one line and truncate it."""
        # Redact before joining the lines: a secret may have two blanks in it.
        return truncate_printable(" ".join(self._redact(text).split()), limit)

    def _find_result(self, root: etree._Element) -> tuple[str, str]:
        """Return the result in a document, and why it does not count; empty if it does."""
        *wrappers, last = self._result_path
        node, marked = root, False
        for tag in wrappers:
            if node.tag != tag or _has_text(node):
                return "", _NOT_A_RESPONSE
            marked = marked or _is_nil_or_reference(node)
            children = list(node)
            # Only an envelope may have a second child: a header. It must not answer, too.
            if node is root and len(children) == 2 and _is_harmless_header(children[0], root):
                del children[0]
            if not children and tag == wrappers[-1]:
                return "", ""  # a null result has no element, so the wrapper is empty
            if len(children) != 1:
                return "", _NOT_A_RESPONSE
            (node,) = children
        if node.tag != last or len(node):
            return "", _NOT_A_RESPONSE
        result = node.text or ""
        if result and (marked or _is_nil_or_reference(node)):
            return result, _NIL_OR_REFERENCE
        return result, ""

    def _rejected(self, what: str, response: Response) -> ConfigurationRejected:
        status = response.status
        remedy = REJECTED_STATUSES.get(status, REJECTED_STATUSES[400])
        return ConfigurationRejected(
            Sentence(
                "The gateway rejected the request with {what}. No SMS was sent: {remedy}.",
                what=what,
                remedy=remedy,
            ),
            category=Category.CONFIGURATION,
            description_zh=what,
            description_en=what,
            http_status=status,
            temporary=status == TOO_MANY_REQUESTS,
            safe_to_resend=True,
        )

    def _unknown(self, what: str, response: Response) -> OutcomeUnknown:
        return OutcomeUnknown(
            Sentence(
                "The gateway responded with {what}. It is unknown whether the SMS was sent. "
                "Check with the vendor before you send it again.",
                what=what,
            ),
            excerpt=self._redact.excerpt(response.body),
            http_status=response.status,
        )


def _status(status: int) -> Sentence:
    return Sentence("HTTP status {status}", status=status)


def _contradiction(one: str, other: str) -> Sentence:
    return Sentence("{one} and {other}, which contradict each other", one=one, other=other)


def check_query_length(length: int) -> None:
    """Check that ASP.NET accepts a query of that many characters.

    Raises:
        InvalidRequest: the query of an HTTP GET would be too long.
    """
    if length >= MAX_QUERY:
        raise invalid_request(
            Sentence(
                "The query would have {length} characters, but ASP.NET accepts fewer than "
                "{max_query} on HTTP GET: send to fewer numbers at once, or use protocol "
                "'soap' or 'http-post'.",
                length=length,
                max_query=MAX_QUERY,
            )
        )


class SubmissionEncoder:
    """Encodes the submissions of one account, as `Codec.encode` does, in less time.

    Most submissions of an account differ in numbers and message only. So it keeps the rest of the
    last content.

    Args:
        codec: the codec.
        user_code: the login name.
        user_pass: the password.
    """

    def __init__(self, codec: Codec, user_code: str, user_pass: str) -> None:
        self._codec = codec
        self._account = Fields(user_code, user_pass, "", "", "", "")
        numbers, message = (codec.order.index(FIELDS.index(name)) for name in ("DesNo", "Msg"))
        self._places = min(numbers, message), max(numbers, message)
        self._numbers_first = numbers < message
        self._checks_message = codec.protocol.startswith("http-")
        self._rest = self._encode_rest("", "")

    def encode(self, submission: Submission) -> Request:
        """Return the request for one submission.

        Raises:
            InvalidRequest: the protocol cannot carry it.
        """
        if self._checks_message:
            check_request_validation(submission.message, "The message")
        rest = self._rest
        if rest.channel != submission.channel or rest.extension != submission.extension:
            rest = self._rest = self._encode_rest(submission.channel, submission.extension)
        escape = self._codec.escape
        first, second = escape(",".join(submission.recipients)), escape(submission.message)
        if not self._numbers_first:
            first, second = second, first
        return self._codec.request(b"".join((rest.start, first, rest.middle, second, rest.end)))

    def _encode_rest(self, channel: str, extension: str) -> _Rest:
        fields = self._account._replace(Channel=channel, ExeNo=extension)
        fill, (first, second) = self._codec.fill, self._places
        return _Rest(
            channel,
            extension,
            fill(fields, 0, first),
            fill(fields, first + 1, second),
            fill(fields, second + 1, len(FIELDS)),
        )

    def fields(self, submission: Submission) -> Fields:
        """Return the six fields of a submission."""
        return self._account._replace(
            DesNo=",".join(submission.recipients),
            Msg=submission.message,
            Channel=submission.channel,
            ExeNo=submission.extension,
        )


class _Rest:
    """A request's content without numbers and message. It has the password, but no ``repr``."""

    __slots__ = ("channel", "end", "extension", "middle", "start")

    def __init__(
        self, channel: str, extension: str, start: bytes, middle: bytes, end: bytes
    ) -> None:
        self.channel, self.extension = channel, extension
        self.start, self.middle, self.end = start, middle, end


def _media_type(response: Response) -> str:
    return response.content_type.partition(";")[0].strip().lower()


def _is_xml(response: Response) -> bool:
    return _XML_TYPES.fullmatch(_media_type(response) or "text/xml") is not None


def _parse(response: Response) -> _Document | None:
    """Return an XML response, whatever its media type; None if it is not XML, or has a DTD."""
    try:
        content, encoding = _to_utf8(response)
        root = etree.fromstring(content, _parser())
    except (etree.XMLSyntaxError, LookupError, ValueError):
        # lxml quotes the response in a log of this thread, and shows that log with later errors.
        etree.clear_error_log()
        return None
    docinfo = root.getroottree().docinfo
    if docinfo.doctype:
        return None
    return _Document(root, encoding or str(docinfo.encoding))


def _to_utf8(response: Response) -> tuple[bytes, str | None]:
    """Return the body without white space and byte order mark at its start, and its encoding.

    By RFC 7303 a byte order mark decides on the encoding, then the charset of the Content-Type, and
    the XML declaration last. If only the declaration can say it, the body stays as it is, and the
    encoding is None. Else the body becomes UTF-8.

    Raises:
        LookupError: the charset is unknown.
        ValueError: the body is invalid in its encoding.
    """
    encoding, body = _encoding(response)
    if encoding is None:
        return body, None
    if encoding == "utf-8":
        # Not decoded: the header may be wrong, and lxml sees that.
        content = body.lstrip(_BLANKS.encode())
    else:
        content = body.decode(encoding).lstrip(_BLANKS + "\ufeff").encode()
    return _DECLARED_ENCODING.sub(rb"\1'utf-8'", content), encoding


def _encoding(response: Response) -> tuple[str | None, bytes]:
    """Return the encoding that mark or header give, and the body without the mark.

    Raises:
        LookupError: the charset is unknown.
        ValueError: the charset is not even a name.
    """
    body = response.body.lstrip(_BLANKS.encode())
    for mark, name in _BYTE_ORDER_MARKS:
        if body.startswith(mark):
            return name, body[len(mark) :]
    charset = _charset(response.content_type)
    if charset is None:
        return None, body
    if charset in ("utf-16", "utf-32"):
        # Without a mark: XML starts with an ASCII character.
        charset += "-be" if response.body.startswith(b"\0") else "-le"
    return charset, response.body  # in some encodings, white space is other bytes


def _charset(content_type: str) -> str | None:
    """Return Python's name of the charset in a Content-Type; None if it has none.

    Raises:
        LookupError: the charset is unknown, or there are two.
        ValueError: the charset is not even a name.
    """
    names = set()
    for parameter in content_type.split(";")[1:]:
        key, _, value = parameter.partition("=")
        if key.strip().lower() == "charset" and (value := value.strip().strip("\"'").strip()):
            # Python keeps every unknown name that it was asked for.
            names.add(codecs.lookup(value[:_LONGEST_CHARSET]).name)
    if len(names) > 1 or names & _NOT_CHARSETS:
        raise LookupError("no charset, or two")
    return names.pop() if names else None


def _decode_text(response: Response) -> str:
    """Return a plain text; the empty text if its charset is unknown."""
    try:
        encoding, body = _encoding(response)
        return body.decode(encoding or "utf-8", "replace")
    except (LookupError, ValueError):
        return ""


def _find_fault(root: etree._Element) -> _Fault | None:
    """Return the SOAP fault in a document; None if there is none."""
    for version, namespace in _SOAP_ENV.items():
        if root.tag != f"{{{namespace}}}Envelope":
            continue
        parts = [part for part in root if part.tag != f"{{{namespace}}}Header"]
        content = list(parts[0]) if [part.tag for part in parts] == [f"{{{namespace}}}Body"] else []
        if [part.tag for part in content] != [f"{{{namespace}}}Fault"]:
            continue
        (fault,) = content
        if version == "soap":
            codes, text = fault.findall("faultcode"), fault.findtext("faultstring")
        else:
            codes = fault.findall(f"{{{namespace}}}Code/{{{namespace}}}Value")
            text = fault.findtext(f"{{{namespace}}}Reason/{{{namespace}}}Text")
        code = (codes[0].text or "") if len(codes) == 1 else ""
        # 1.1 allows a code to be refined with dots, as in Client.Authentication.
        name = code.strip().rpartition(":")[2].partition(".")[0]
        has_batch_number = _LONG_NUMBER.search(" ".join(map(str, fault.itertext()))) is not None
        return _Fault(name, text or "", has_batch_number)
    faults = root.iter(*(f"{{{namespace}}}Fault" for namespace in _SOAP_ENV.values()))
    return None if next(faults, None) is None else _Fault("", "", is_alone=False)


def _is_harmless_header(node: etree._Element, envelope: etree._Element) -> bool:
    """Return whether a node is the SOAP header, and holds neither a fault nor a result."""
    if node.tag != str(envelope.tag).replace("}Envelope", "}Header"):
        return False
    answers = node.iter("{*}Fault", f"{{*}}{OPERATION}Response", f"{{*}}{OPERATION}Result")
    return next(answers, None) is None and not _mentions_result(_serialise(node), OPERATION)


def _has_text(node: etree._Element) -> bool:
    """Return whether there is text beside the children of a node."""
    texts = (node.text, *(child.tail for child in node))
    return any(text is not None and text.strip(_BLANKS) for text in texts)


def _is_nil_or_reference(node: etree._Element) -> bool:
    """Return whether an attribute says that the element is null, or that its value is elsewhere."""
    for name, value in node.items():
        local = str(name).rpartition("}")[2]
        if local in ("href", "ref"):
            return True
        if local == "nil" and str(value).strip() not in ("false", "0"):
            return True
    return False


def _texts(response: Response, document: _Document | None) -> set[str]:
    """Return a response as text in every way in which it may be read."""
    # Tags and digits are ASCII in nearly all encodings, in UTF-16 and UTF-32 with NUL between.
    texts = {response.body.replace(b"\0", b"").decode("latin-1"), _decode_text(response)}
    if document is not None:
        texts.add(_serialise(document.root))
    return texts


def _serialise(node: etree._Element) -> str:
    return etree.tostring(node, encoding="unicode")


def _mentions_result(text: str, operation: str) -> bool:
    """Return whether a text may hold a result of an operation, on any protocol.

    In a response that rejects, any result contradicts it: the service ran. The result may be in a
    part of a larger page, and escaped. When in doubt, it is there. Takes linear time for any text.
    """
    elements = f"{operation}Res".lower()  # what the names of response and result begin with
    for _ in range(_LEVELS_OF_ESCAPING):
        text = text.lower().replace("<![cdata[", "")
        if any(
            _RESULT_IN_ELEMENT.search(rest.partition("<")[0]) or _LONG_NUMBER.search(rest[:_NEAR])
            for rest in text.split(elements)[1:]
        ):
            return True
        # Other services have an element of that name, too.
        if _NAMESPACE_HOST in text and any(
            _RESULT_IN_ELEMENT.search(rest.partition("<")[0]) for rest in text.split("string")[1:]
        ):
            return True
        text = _unescape(text)
    return False


def _unescape(text: str) -> str:
    """Undo one level of HTML's and JSON's escaping.

    `html.unescape` alone raises an error for a reference of some thousand digits.
    """
    return _ESCAPED.sub(_unescape_one, text)


def _unescape_one(found: re.Match[str]) -> str:
    byte = found["byte"]
    return html.unescape(found[0]) if byte is None else chr(int(byte, 16))


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
