"""Read and write SOAP envelopes of both versions as ASP.NET does. No I/O."""

from __future__ import annotations

import codecs
import encodings
import re
from dataclasses import dataclass
from encodings.aliases import aliases
from xml.sax.saxutils import escape

from lxml import etree

from yunxin_soap.operation import FIELDS, OPERATION

TNS = "http://tempuri.org/"
SOAP_11 = "http://schemas.xmlsoap.org/soap/envelope/"
SOAP_12 = "http://www.w3.org/2003/05/soap-envelope"

_DECLARATION = re.compile(
    r"""\A<\?xml\s+version\s*=\s*(?P<a>["'])(?P<version>[^"']*)(?P=a)"""
    r"""(\s+encoding\s*=\s*(?P<b>["'])[A-Za-z][A-Za-z0-9._-]*(?P=b))?"""
    r"""(\s+standalone\s*=\s*(?P<c>["'])(yes|no)(?P=c))?\s*\?>"""
)
_SECOND_DECLARATION = re.compile(r"\A(<\?xml\s|\ufeff)")
_DECLARED_ENCODING = re.compile(rb"\A<\?xml\s[^>]*?encoding\s*=\s*[\"']([A-Za-z0-9._-]+)")
_ENCODINGS = frozenset(aliases) | frozenset(aliases.values())
_PYTHON_ONLY = frozenset(
    codecs.lookup(name).name
    for name in ("unicode_escape", "raw_unicode_escape", "utf_8_sig", "punycode", "idna")
)
"""Text encodings that .NET does not have."""
_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
_ENVELOPE = (
    '<?xml version="1.0" encoding="utf-8"?><soap:Envelope xmlns:soap="{namespace}"'
    ' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
    ' xmlns:xsd="http://www.w3.org/2001/XMLSchema">{header}<soap:Body>{body}</soap:Body>'
    "</soap:Envelope>"
)
_UPGRADE = (
    f'<soap:Header><soap12:Upgrade xmlns:soap12="{SOAP_12}">'
    f'<soap12:SupportedEnvelope qname="soap12:Envelope" />'
    f'<soap12:SupportedEnvelope xmlns:q="{SOAP_11}" qname="q:Envelope" />'
    "</soap12:Upgrade></soap:Header>"
)


class MalformedEnvelope(Exception):
    """The body is no XML that .NET reads; ASP.NET responds with an empty 400."""


@dataclass(eq=False)
class SoapFault(Exception):
    """A SOAP fault."""

    code: str
    """The code's name in SOAP 1.1, such as ``Client``."""
    text: str
    version: str
    """The namespace of the response's envelope."""

    def render(self) -> str:
        """Return the envelope with the fault."""
        if self.version == SOAP_12:
            code = {"Client": "Sender", "Server": "Receiver"}.get(self.code, self.code)
            detail = "" if self.code == "MustUnderstand" else "<soap:Detail />"
            body = (
                f"<soap:Fault><soap:Code><soap:Value>soap:{code}</soap:Value></soap:Code>"
                f'<soap:Reason><soap:Text xml:lang="en">{xml_text(self.text)}</soap:Text>'
                f"</soap:Reason>{detail}</soap:Fault>"
            )
        else:
            detail = "" if self.code == "MustUnderstand" else "<detail />"
            body = (
                f"<soap:Fault><faultcode>soap:{self.code}</faultcode>"
                f"<faultstring>{xml_text(self.text)}</faultstring>{detail}</soap:Fault>"
            )
        header = _UPGRADE if self.code == "VersionMismatch" else ""
        return _ENVELOPE.format(namespace=self.version, header=header, body=body)


def render_response(result: str | None, version: str) -> str:
    """Return the envelope of a response; None is a null result."""
    if result is None:
        inner = f'<{OPERATION}Response xmlns="{TNS}" />'
    else:
        element = f"{OPERATION}Result"
        content = f"<{element}>{xml_text(result)}</{element}>" if result else f"<{element} />"
        inner = f'<{OPERATION}Response xmlns="{TNS}">{content}</{OPERATION}Response>'
    return _ENVELOPE.format(namespace=version, header="", body=inner)


def xml_text(text: str) -> str:
    """Escape element content as .NET does, which escapes even characters that XML forbids."""
    escaped = escape(text)
    return _NOT_XML.sub(lambda found: f"&#x{ord(found[0]):X};", escaped)


def decode(body: bytes, media_type: str, charset: str | None) -> str:
    """Decode an envelope in the encoding that ASP.NET would choose."""
    for bom, encoding in (
        (codecs.BOM_UTF8, "utf-8-sig"),
        (codecs.BOM_UTF16_LE, "utf-16"),
        (codecs.BOM_UTF16_BE, "utf-16"),
    ):
        if body.startswith(bom):
            return body.decode(encoding, "replace")
    known = known_encoding(charset)
    if known is None and media_type == "application/soap+xml":
        declared = _DECLARED_ENCODING.match(body)
        known = known_encoding(declared[1].decode()) if declared else None
        known = known or "utf-8"
    # .NET reads text/xml without a known charset as ASCII.
    text = body.decode(known or "ascii", "replace")
    # In ASCII, .NET makes each byte of a Chinese character a "?".
    return text.replace("\ufffd", "?") if known in (None, "ascii") else text


def known_encoding(name: str | None) -> str | None:
    """Return Python's name of an encoding if .NET has it too, else None."""
    plain = encodings.normalize_encoding(name or "").lower()
    if plain not in _ENCODINGS or not (name or "").isascii():
        return None  # codecs.lookup caches every name, so it gets only known ones
    try:
        found = codecs.lookup(plain).name
        # Some of Python's codecs return bytes, and some ignore errors="replace".
        b"\xff".decode(found, "replace")
    except (LookupError, ValueError):
        return None
    if found in _PYTHON_ONLY or (found == "utf-8" and (name or "").lower() != "utf-8"):
        return None  # only Python accepts utf8 and the like
    # .NET has one code page for both.
    return "gbk" if found == "gb2312" else found


def parse(text: str) -> etree._Element:
    """Return the root of an envelope.

    Raises:
        MalformedEnvelope: it is not well-formed XML 1.0, has a DOCTYPE of any kind, or a prefix
            that is not declared.
    """
    if declaration := _DECLARATION.match(text):
        if declaration["version"] != "1.0":
            raise MalformedEnvelope
        # `decode` has chosen the encoding already.
        text = text[declaration.end() :]
    if _SECOND_DECLARATION.match(text):  # libxml2 would accept it
        raise MalformedEnvelope
    parser = etree.XMLParser(
        encoding="utf-8", resolve_entities=False, no_network=True, load_dtd=False
    )
    try:
        root = etree.fromstring(text.encode("utf-8", "replace"), parser)
    except (etree.XMLSyntaxError, ValueError):
        raise MalformedEnvelope from None
    # libxml2 only notes a prefix that is not declared.
    if root.getroottree().docinfo.doctype or parser.error_log.filter_from_errors():
        raise MalformedEnvelope
    return root


def root_problem(text: str) -> str | None:
    """Return why there is no root element, None if one begins."""
    rest = text.removeprefix("\ufeff")
    if declaration := _DECLARATION.match(rest):
        rest = rest[declaration.end() :]
    rest = rest.lstrip()
    if not rest:
        return "Root element is missing."
    return (
        None if rest.startswith("<") else ("Data at the root level is invalid. Line 1, position 1.")
    )


def version_of(root: etree._Element) -> str:
    """Return the namespace of an envelope, which is its version.

    Raises:
        SoapFault: it is no envelope of a known version.
    """
    name = etree.QName(root)
    namespace = name.namespace or ""
    if name.localname == "Envelope" and namespace in (SOAP_11, SOAP_12):
        return namespace
    text = (
        f"Possible SOAP version mismatch: Envelope namespace {namespace} was unexpected."
        f" Expecting {SOAP_11}."
    )
    raise SoapFault("VersionMismatch", text, SOAP_11)


def body_of(root: etree._Element, version: str) -> etree._Element:
    """Check the headers and return the Body.

    Raises:
        SoapFault: there is no Body, or a header must be understood.
    """
    body = root.find(f"{{{version}}}Body")
    if body is None:
        raise SoapFault(
            "Client",
            "Server was unable to read request. ---> Request format is invalid: Missing"
            " required soap:Body element.",
            version,
        )
    for header in root.iterfind(f"{{{version}}}Header/*"):
        if header.get(f"{{{version}}}mustUnderstand") in ("1", "true"):
            name = etree.QName(header).localname
            raise SoapFault("MustUnderstand", f"SOAP header {name} was not understood.", version)
    return body


def is_operation(body: etree._Element) -> bool:
    """Return whether the Body's first element has the name and namespace of the operation."""
    operation = _first_element(body)
    return operation is not None and operation.tag == f"{{{TNS}}}{OPERATION}"


def read_fields(body: etree._Element) -> dict[str, str | None]:
    """Return the six parameters; a missing or unknown element leaves a null.

    Raises:
        MalformedEnvelope: a parameter contains an element.
    """
    fields: dict[str, str | None] = dict.fromkeys(FIELDS)
    operation = _first_element(body)
    if operation is None or not is_operation(body):
        return fields
    for name in FIELDS:
        element = operation.find(f"{{{TNS}}}{name}")
        if element is not None and not len(element):
            fields[name] = element.text or ""
        elif element is not None:
            if _first_element(element) is not None:
                raise MalformedEnvelope
            # .NET ignores a comment in the text, and joins the text on both sides.
            tails = (child.tail or "" for child in element)
            fields[name] = "".join((element.text or "", *tails))
    return fields


def _first_element(node: etree._Element) -> etree._Element | None:
    return next(node.iterchildren("{*}*"), None)
