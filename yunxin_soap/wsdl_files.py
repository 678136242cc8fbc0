"""The files of the WSDL: the shipped one, the user's cached copy, and the copy before that.

Every change is one rename or one removal, so that whatever interrupts it, each name belongs to no
file or to a complete one. `wsdl` reads, checks and fetches them.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from yunxin_soap.environment import read_variable
from yunxin_soap.errors import ConfigurationError
from yunxin_soap.redact import truncate_printable
from yunxin_soap.sentences import Sentence

FILE_NAME = "MsgSend.wsdl"
MAX_BYTES = 1 << 20
"""A larger file is not read."""

_PREVIOUS_NAME = f"{FILE_NAME}.previous"
_PARTIAL_SUFFIX = ".part"
_PARTIAL_EXPIRY_SECONDS = 3600.0


def cache_dir() -> Path:
    """Return the cache directory of the user; ``YUNXIN_WSDL_CACHE`` overrides it."""
    if override := read_variable("WSDL_CACHE"):
        # A service manager or a .env file does not expand ~; `find` does.
        named = Path(os.path.expanduser(override))  # noqa: PTH111 - the other raises for ~nobody
        return named.absolute()
    from platformdirs import user_cache_path

    return user_cache_path("yunxin_soap", appauthor=False)


def cached_path() -> Path:
    """Return the path of the cached copy, which need not exist."""
    return cache_dir() / FILE_NAME


def previous_path() -> Path:
    """Return the path of the copy that the last refresh replaced, which need not exist."""
    return cache_dir() / _PREVIOUS_NAME


def shipped_path() -> Path:
    """Return the path of the WSDL that is shipped with the package."""
    package = Path(__file__).resolve().parent
    # setup.py maps the directory into the package of a wheel. In a checkout, and so in an editable
    # install, the directory is beside the package.
    for directory in (package, package.parent):
        path = directory / "wsdl_cache" / FILE_NAME
        if path.is_file():
            return path
    raise ConfigurationError(
        Sentence(
            "The installed package has no {file_name}: install yunxin-soap again, or pass wsdl=.",
            file_name=FILE_NAME,
        )
    )


def find(path: str | os.PathLike[str] | None = None) -> Path:
    """Return the path of the WSDL to load.

    Args:
        path: the file to use. Default: the user's cached copy, or else the shipped one.

    Raises:
        ConfigurationError: ``path`` is not a file.
    """
    if path is None:
        return _resolve_file(cached_path()) or shipped_path()
    if found := _resolve_file(path):
        return found
    raise _missing(path)


def _missing(path: str | os.PathLike[str]) -> ConfigurationError:
    shown = truncate_printable(os.fsdecode(path), 200)
    return ConfigurationError(
        Sentence("There is no WSDL file at {shown}: name a file that exists.", shown=shown)
    )


def _resolve_file(path: str | os.PathLike[str]) -> Path | None:
    """Return the absolute path of a file; None if there is none that can be reached."""
    try:
        named = Path(os.fsdecode(path)).expanduser()
        return named.resolve() if named.is_file() else None
    except (OSError, RuntimeError, ValueError):
        # The name is too long, its directory is locked, the user of ~user is not known …
        return None


def find_and_read(path: str | os.PathLike[str] | None = None) -> tuple[Path, bytes]:
    """Return the path and the content of the WSDL to load.

    Args:
        path: as for `find`.

    Raises:
        ConfigurationError: there is no file, it cannot be read, or it has more than 1 MiB.
    """
    while True:
        found = find(path)
        content = read(found)
        if content is not None:
            return found, content
        if path is not None:
            raise _missing(path)
        # A rollback has just removed the cached copy: find the shipped one.


def read(path: Path) -> bytes | None:
    """Return the content of a WSDL file; None if there is no such file.

    Raises:
        ConfigurationError: the file cannot be read, or has more than 1 MiB.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigurationError(
            Sentence(
                "The WSDL {path} cannot be read ({problem}): check its permissions, or name "
                "another file.",
                path=path,
                problem=error.strerror,
            )
        ) from error
    if len(content) > MAX_BYTES:
        raise ConfigurationError(
            Sentence(
                "The WSDL {path} has more than {max_bytes} bytes: {path2}.",
                path=path,
                max_bytes=MAX_BYTES,
                path2=advise(str(path)),
            )
        )
    return content


def advise(location: str) -> str:
    """Return what to do about a WSDL that cannot be used.

    Args:
        location: its path, or the address that it came from.
    """
    if "://" in location:
        return "check the address"
    if Path(location).resolve().parent == cache_dir().resolve():
        return "delete it, or refresh the WSDL"
    return "name another file"


def replace_cached(content: bytes, previous: bytes | None) -> Path:
    """Write the cached copy.

    Args:
        content: the new copy.
        previous: what `roll_back` will bring back; None keeps what it would bring back now.

    Returns:
        The path of the cached copy.

    Raises:
        ConfigurationError: it cannot be written. The cached copy is unchanged.
    """
    target = cached_path()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        # On a full disk the first step fails, and neither name has changed.
        with _partial_file(content) as new:
            if previous is not None:
                with _partial_file(previous) as old:
                    old.replace(previous_path())
            new.replace(target)
        _remove_stale_partials(target.parent)
    except OSError as error:
        raise ConfigurationError(
            Sentence(
                "The WSDL could not be written to {target} ({problem}): check the disk and the "
                "permissions, or set YUNXIN_WSDL_CACHE to another directory. The WSDL in use "
                "is unchanged.",
                target=target,
                problem=error.strerror,
            )
        ) from error
    return target


def roll_back() -> bool:
    """Bring back the copy that the last refresh replaced; without one, remove the cached copy.

    Returns:
        Whether there was a cached copy; False if nothing changed.

    Raises:
        ConfigurationError: the directory cannot be written. Nothing changed.
    """
    target = cached_path()
    try:
        with suppress(FileNotFoundError):
            previous_path().replace(target)
            return True
        with suppress(FileNotFoundError):
            target.unlink()
            return True
    except OSError as error:
        raise ConfigurationError(
            Sentence(
                "{target} could not be replaced ({problem}): check the permissions of its "
                "directory. The WSDL in use is unchanged.",
                target=target,
                problem=error.strerror,
            )
        ) from error
    return False


@contextmanager
def _partial_file(content: bytes) -> Iterator[Path]:
    """Write a whole file under a name that nothing loads, for the caller to rename."""
    partial = cache_dir() / f"{FILE_NAME}.{secrets.token_hex(8)}{_PARTIAL_SUFFIX}"
    try:
        with partial.open("xb") as file:
            file.write(content)
            file.flush()
            # Else a power loss could leave the new name with an empty file.
            os.fsync(file.fileno())
        yield partial
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def _remove_stale_partials(directory: Path) -> None:
    """Remove what killed processes left. A younger file may belong to one that still writes."""
    expiry = time.time() - _PARTIAL_EXPIRY_SECONDS
    for partial in directory.glob(f"{FILE_NAME}.*{_PARTIAL_SUFFIX}"):
        with suppress(OSError):
            if partial.stat().st_mtime < expiry:
                partial.unlink()
