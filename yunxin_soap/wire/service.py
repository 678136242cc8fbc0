"""Provide ``client.service``: the operations of the WSDL over the client's transport."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from yunxin_soap.errors import invalid_request
from yunxin_soap.message import as_text, check_characters
from yunxin_soap.operation import OPERATION
from yunxin_soap.redact import Redactor, truncate_printable
from yunxin_soap.results import parse_result
from yunxin_soap.sentences import Sentence
from yunxin_soap.transport.base import Request, Response
from yunxin_soap.wire import zeep_adapter
from yunxin_soap.wire.codec import NO_CACHE, Codec, Fields, check_query_length
from yunxin_soap.wire.zeep_adapter import Wsdl

_SECRET_NAME = re.compile(r"pass|pwd|secret", re.IGNORECASE)


@dataclass(frozen=True)
class Call:
    """One call of an operation, to be sent once. Its ``repr`` shows no argument."""

    sent: Fields | str = field(repr=False)
    """What the log shows of the request."""
    secrets: tuple[str, ...] = field(repr=False)
    recipients: int
    """How many numbers the call has, if it is a submission."""
    channel: str = field(repr=False)
    build: Callable[[], Request] = field(repr=False)
    """Returns the request, or raises `InvalidRequest` or `TypeError`."""
    parse: Callable[[Response], Any] = field(repr=False)
    """Returns the result in a response, or raises what `Client.send` raises for one without."""


class Operations:
    """Prepares calls of the operations that a WSDL has for one protocol.

    Args:
        wsdl: the WSDL.
        codec: encodes ``sendMesExt``, and decodes all responses.
        path: the path of the service's page.
        redact: masks secrets in the errors about arguments.
    """

    def __init__(self, wsdl: Wsdl, codec: Codec, path: str, redact: Redactor) -> None:
        self._wsdl, self._codec, self._path, self._redact = wsdl, codec, path, redact
        self._others: dict[str, zeep_adapter.Operation] = {}

    def __iter__(self) -> Iterator[str]:
        """Return the names of the operations."""
        return iter(self._wsdl.description.operations[self._codec.protocol])

    def check_name(self, name: str) -> None:
        """Check that there is an operation of that name.

        Raises:
            AttributeError: there is none.
        """
        if name not in [*self]:
            names = truncate_printable(", ".join(self), 1000)
            raise AttributeError(
                f"The WSDL has no operation {name!r} over {self._codec.protocol}; it has {names}."
            )

    def submission(self, fields: Fields) -> Call:
        """Prepare a call of ``sendMesExt``."""
        return Call(
            sent=fields,
            secrets=(fields.userPass,),
            recipients=fields.DesNo.count(",") + 1 if fields.DesNo else 0,
            channel=fields.Channel,
            build=lambda: self._encode(fields),
            parse=self._parse_submission,
        )

    def _encode(self, fields: Fields) -> Request:
        for name, value in fields._asdict().items():
            check_characters(value, name)
        return self._codec.encode(fields)

    def _parse_submission(self, response: Response) -> str:
        """Return the result as it is, also a code; an empty one is unknown."""
        result = self._codec.decode(response)
        return result if result.strip() else parse_result(result)

    def other(self, name: str, arguments: Arguments) -> Call:
        """Prepare a call of another operation than ``sendMesExt``.

        Raises:
            ConfigurationError: the operation cannot be called over the protocol.
        """
        operation = self._other(name)
        return Call(
            sent=f"{name}({', '.join(arguments.names(operation.parameters))})",
            secrets=arguments.secrets(operation.parameters),
            recipients=0,
            channel="",
            build=lambda: self._build(operation, name, arguments),
            parse=lambda response: self._codec.decode_other(response, operation.read, name),
        )

    def _other(self, name: str) -> zeep_adapter.Operation:
        operation = self._others.get(name)
        if operation is None:
            operation = zeep_adapter.Operation(self._wsdl, self._codec.protocol, name)
            self._others[name] = operation
        return operation

    def _build(self, operation: zeep_adapter.Operation, name: str, arguments: Arguments) -> Request:
        """Return the request that zeep builds.

        Raises:
            InvalidRequest: zeep or the protocol cannot carry an argument.
            TypeError: the arguments are not those of the operation.
        """
        error: Exception
        try:
            return self._request(operation.build(arguments.args, arguments.kwargs))
        except TypeError as raised:
            error = TypeError(self._reason(raised))
        except Exception as raised:  # noqa: BLE001 - zeep raises anything for a wrong value
            error = invalid_request(
                Sentence(
                    "{name} cannot be called with these arguments: {raised}",
                    name=name,
                    raised=self._reason(raised),
                )
            )
        # Raised outside the handlers: the frames of zeep's error hold the arguments.
        raise error

    def _reason(self, error: Exception) -> str:
        return truncate_printable(self._redact(str(error)))

    def _request(self, captured: zeep_adapter.CapturedRequest) -> Request:
        path = self._path + captured.address
        content = captured.content
        if isinstance(content, dict):
            query = urlencode(content)
            check_query_length(len(query))
            return Request("GET", path, NO_CACHE, query=query)
        body = content.encode() if isinstance(content, str) else content
        return Request("POST", path, captured.headers, body=body)


class Arguments:
    """The arguments of one call. Its ``repr`` shows none: errors keep it in their frames."""

    def __init__(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        self.args, self.kwargs = args, kwargs

    def names(self, parameters: list[str]) -> list[str]:
        """Return the names of the arguments that were given.

        Args:
            parameters: the names of the operation's parameters, for arguments by position.
        """
        return [*parameters[: len(self.args)], *self.kwargs]

    def secrets(self, parameters: list[str]) -> tuple[str, ...]:
        """Return the values of all arguments whose names look like a password's."""
        named = [*zip(parameters, self.args, strict=False), *self.kwargs.items()]
        return tuple(_secrets(zeep_adapter.to_plain(dict(named))))


def _secrets(value: Any, *, is_secret: bool = False) -> Iterator[str]:
    if isinstance(value, Mapping):
        for name, each in value.items():
            found = is_secret or _SECRET_NAME.search(str(name)) is not None
            yield from _secrets(each, is_secret=found)
    elif isinstance(value, (list, tuple, set, frozenset)):
        for each in value:
            yield from _secrets(each, is_secret=is_secret)
    elif is_secret and value is not None:
        yield as_text(value)


def _fields(*values: object) -> Fields:
    try:
        return Fields(*("" if value is None else as_text(value) for value in values))
    finally:
        del values  # as in its callers


class Service:
    """The operations of the WSDL, by zeep's types: ``service.sendMesExt(…)``.

    ``service.name`` and ``service["name"]`` are the operation of that name.
    """

    def __init__(self, operations: Operations, send: Callable[[Call], Any]) -> None:
        self._operations, self._send = operations, send

    def sendMesExt(  # noqa: N802 - the vendor's name
        self,
        userCode: str | None = None,  # noqa: N803 - the vendor's names
        userPass: str | None = None,  # noqa: N803
        DesNo: str | None = None,  # noqa: N803
        Msg: str | None = None,  # noqa: N803
        Channel: str | None = None,  # noqa: N803
        ExeNo: str | None = None,  # noqa: N803
    ) -> str:
        """Call ``sendMesExt`` with the vendor's six fields. An omitted field is sent empty.

        Returns:
            The gateway's result as it is, also a negative code.

        Raises:
            InvalidRequest: the protocol cannot carry a field. Nothing was sent.
            NotSent: as in `Client.send`.
            Rejected: an HTTP status or a SOAP fault rejected the call.
            OutcomeUnknown: as in `Client.send`; also for an empty result.
        """
        try:
            fields = _fields(userCode, userPass, DesNo, Msg, Channel, ExeNo)
        finally:
            # An error keeps this frame: it must not keep the password, which Fields never shows.
            del userCode, userPass, DesNo, Msg, Channel, ExeNo
        result: str = self._send(self._operations.submission(fields))
        return result

    def __getattr__(self, name: str) -> Callable[..., Any]:
        """Return another operation.

        Raises:
            AttributeError: the WSDL has no operation of that name.
        """
        if name.startswith("__"):
            raise AttributeError(name)
        return self[name]

    def __getitem__(self, name: str) -> Callable[..., Any]:
        """Return the operation of that name."""
        self._operations.check_name(name)
        if name == OPERATION:
            return self.sendMesExt
        return _OtherOperation(self._operations, name, self._send)

    def __iter__(self) -> Iterator[tuple[str, Callable[..., Any]]]:
        """Return the names and the operations."""
        return ((name, self[name]) for name in self._operations)

    def __dir__(self) -> list[str]:
        """Return the names of the operations, beside the usual ones."""
        return [*super().__dir__(), *self._operations]

    def __repr__(self) -> str:
        """Name the operations."""
        return f"<Service {', '.join(self._operations)}>"


class _OtherOperation:
    """An operation other than ``sendMesExt``."""

    def __init__(self, operations: Operations, name: str, send: Callable[[Call], Any]) -> None:
        self.__name__ = name
        self._operations, self._send = operations, send

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        arguments = Arguments(args, kwargs)
        # An error keeps this frame: it must not keep a password.
        del args, kwargs
        return self._send(self._operations.other(self.__name__, arguments))

    def __repr__(self) -> str:
        return f"<operation {self.__name__}>"


class AsyncService:
    """The operations of the WSDL, by zeep's types: ``await service.sendMesExt(…)``.

    ``service.name`` and ``service["name"]`` are the operation of that name. The first call loads
    the WSDL.
    """

    def __init__(
        self,
        load: Callable[[], Awaitable[Operations]],
        send: Callable[[Call], Coroutine[Any, Any, Any]],
    ) -> None:
        self._load, self._send = load, send

    async def sendMesExt(  # noqa: N802 - the vendor's name
        self,
        userCode: str | None = None,  # noqa: N803 - the vendor's names
        userPass: str | None = None,  # noqa: N803
        DesNo: str | None = None,  # noqa: N803
        Msg: str | None = None,  # noqa: N803
        Channel: str | None = None,  # noqa: N803
        ExeNo: str | None = None,  # noqa: N803
    ) -> str:
        """Call ``sendMesExt`` with the vendor's six fields. An omitted field is sent empty.

        Returns:
            The gateway's result as it is, also a negative code.

        Raises:
            InvalidRequest: the protocol cannot carry a field. Nothing was sent.
            NotSent: as in `AsyncClient.send`.
            Rejected: an HTTP status or a SOAP fault rejected the call.
            OutcomeUnknown: as in `AsyncClient.send`; also for an empty result.
            ConfigurationError: the WSDL does not fit.
        """
        try:
            fields = _fields(userCode, userPass, DesNo, Msg, Channel, ExeNo)
        finally:
            # An error keeps this frame: it must not keep the password, which Fields never shows.
            del userCode, userPass, DesNo, Msg, Channel, ExeNo
        operations = await self._load()
        result: str = await self._send(operations.submission(fields))
        return result

    def __getattr__(self, name: str) -> Callable[..., Coroutine[Any, Any, Any]]:
        """Return another operation. Its call raises `AttributeError` if the WSDL has none."""
        if name.startswith("__"):
            raise AttributeError(name)
        return self[name]

    def __getitem__(self, name: str) -> Callable[..., Coroutine[Any, Any, Any]]:
        """Return the operation of that name. Its call raises `AttributeError` if there is none."""
        if name == OPERATION:
            return self.sendMesExt

        async def call(*args: Any, **kwargs: Any) -> Any:
            arguments = Arguments(args, kwargs)
            # An error keeps this frame: it must not keep a password.
            del args, kwargs
            operations = await self._load()
            operations.check_name(name)
            return await self._send(operations.other(name, arguments))

        call.__name__ = call.__qualname__ = name
        return call
