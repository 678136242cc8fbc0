"""What the package exports, and how far `AsyncClient` is the twin of `Client`."""

from __future__ import annotations

import ast
import inspect
import itertools
import re
import types
from pathlib import Path
from typing import Any

import pytest

import yunxin_soap
from tests.support.doc_pages import PAGES, read_blocks
from yunxin_soap import AsyncClient, Client, ClientArguments, ClientOptions, Settings, errors

ROOT = Path(yunxin_soap.__file__).parent


def documented_constants(module: str) -> set[str]:
    """Return the module-level names that a docstring follows."""
    path = ROOT.joinpath(*module.split(".")[1:]).with_suffix(".py")
    body = ast.parse(path.read_text("utf-8")).body
    return {
        target.id
        for statement, after in itertools.pairwise(body)
        if isinstance(statement, ast.Assign)
        and isinstance(after, ast.Expr)
        and isinstance(after.value, ast.Constant)
        for target in statement.targets
        if isinstance(target, ast.Name)
    }


@pytest.mark.parametrize("name", yunxin_soap.__all__)
def test_public_name_is_importable_and_documented(name: str) -> None:
    """Every public name can be imported and has its own docstring."""
    value = getattr(yunxin_soap, name)
    if name == "__version__":
        assert re.fullmatch(r"\d+\.\d+\.\d+\S*", value)
    elif isinstance(value, types.GenericAlias):  # a class, too, on Python 3.10
        assert name in documented_constants("yunxin_soap.observer")
    elif inspect.isclass(value) or inspect.isfunction(value):
        assert value.__module__.startswith("yunxin_soap.")
        docstring = vars(value).get("__doc__") if inspect.isclass(value) else value.__doc__
        assert docstring
        assert not docstring.startswith(f"{name}(")  # which dataclasses generate
    else:
        assert name in documented_constants("yunxin_soap.operation")


def test_public_names_are_complete() -> None:
    """``__all__`` is sorted, contains every error, and ``dir`` shows it."""
    public = {
        name
        for name, value in vars(errors).items()
        if isinstance(value, type)
        and value.__module__ == errors.__name__
        and not name.startswith("_")
    }
    assert public <= set(yunxin_soap.__all__)
    assert set(yunxin_soap.__all__) <= set(dir(yunxin_soap))
    assert yunxin_soap.__all__ == sorted(yunxin_soap.__all__)
    with pytest.raises(AttributeError, match="nonsense"):
        yunxin_soap.nonsense  # noqa: B018 - must raise


def test_public_names_are_those_for_type_checkers() -> None:
    """The imports that type checkers read are exactly ``__all__``."""
    tree = ast.parse((ROOT / "__init__.py").read_text("utf-8"))
    (guarded,) = (each for each in tree.body if isinstance(each, ast.If))
    imported = {
        alias.name
        for statement in guarded.body
        if isinstance(statement, ast.ImportFrom)
        for alias in statement.names
    }
    assert imported | {"__version__"} == set(yunxin_soap.__all__)


def test_imports_in_documents_are_of_public_names() -> None:
    """Every import from the package in the README and the other pages is of a public name."""
    statements = [
        statement
        for path in PAGES
        for block in read_blocks(path)
        if block.language == "python"
        for statement in ast.walk(ast.parse(block.code))
        if isinstance(statement, ast.ImportFrom)
        and (statement.module or "").partition(".")[0] == "yunxin_soap"
    ]
    assert len(statements) > 10
    for statement in statements:
        assert statement.module is not None
        module = __import__(statement.module, fromlist=["__all__"])
        assert {alias.name for alias in statement.names} <= set(module.__all__), statement.module


def public_members(kind: type) -> dict[str, Any]:
    return {
        name: inspect.getattr_static(kind, name)
        for name in dir(kind)
        if not name.startswith("_") or name == "__init__"
    }


def function_of(member: Any) -> Any:
    """Return the function behind a method, a class method or a property."""
    if isinstance(member, property):
        return member.fget
    return getattr(member, "__func__", member)


def test_async_client_has_the_members_of_client() -> None:
    """Both clients have the same public names."""
    assert set(public_members(AsyncClient)) == set(public_members(Client))


@pytest.mark.parametrize("name", sorted(public_members(Client)))
def test_async_client_member_is_the_twin_of_clients(name: str) -> None:
    """Both clients have the same kind of member, with the same parameters and defaults."""
    ours, twin = public_members(Client)[name], public_members(AsyncClient)[name]
    assert type(twin) is type(ours)
    parameters, others = (inspect.signature(function_of(each)).parameters for each in (ours, twin))
    assert list(others.values()) == list(parameters.values())


def sections(docstring: str) -> dict[str, str]:
    """Return the sections of a Google-style docstring; the summary has an empty title."""
    parts = re.split(r"^(\w+):\n", inspect.cleandoc(docstring), flags=re.MULTILINE)
    return {"": parts[0], **dict(zip(parts[1::2], parts[2::2], strict=True))}


@pytest.mark.parametrize("name", sorted(public_members(Client)))
def test_async_client_docstring_is_whole(name: str) -> None:
    """The twin's docstring says all that `Client`'s says, and does not refer to it."""
    ours, twin = (
        sections(function_of(public_members(kind)[name]).__doc__) for kind in (Client, AsyncClient)
    )
    assert set(twin) == set(ours)
    assert twin.get("Args") == ours.get("Args")
    assert twin.get("Returns") == ours.get("Returns")
    first, other = ours[""].splitlines()[0], twin[""].splitlines()[0]
    assert other.replace("await ", "") == first
    if twin is not ours and name != "__init__":
        assert "Client." not in "".join(twin.values())
    raised, also = (
        set(re.findall(r"^    ([\w.]+):", each.get("Raises", ""), re.MULTILINE))
        for each in (ours, twin)
    )
    assert raised <= also
    assert also - raised <= {"ConfigurationError", "asyncio.CancelledError"}


def test_client_signature_shows_every_option_with_its_default() -> None:
    """`help` and interactive shells show each argument, though it is listed once."""
    shown = inspect.signature(Client).parameters
    assert list(shown)[:2] == ["user_code", "user_pass"]
    assert set(shown) == {*ClientArguments.__annotations__, "transport"}
    assert (shown["timeout"].default, shown["protocol"].default) == (30.0, "soap")
    assert shown["transport"].default is None


def test_client_docstring_documents_every_argument() -> None:
    """The constructor documents each argument, in the order of the signature."""
    documented = re.findall(
        r"^    (\w+): ", sections(Client.__init__.__doc__ or "")["Args"], re.MULTILINE
    )
    assert documented == list(inspect.signature(Client).parameters)


def test_settings_are_the_options_of_the_clients() -> None:
    """`Settings` has one attribute for each argument, and no other."""
    names = list(Settings.__dataclass_fields__)
    assert names == ["user_code", "user_pass", *ClientOptions.__annotations__]
