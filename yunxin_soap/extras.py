"""The error for an extra that is not installed."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

from yunxin_soap.errors import ConfigurationError
from yunxin_soap.sentences import Sentence

_PACKAGE = "yunxin-soap"


def missing_extra(needs: Sentence, extra: str) -> ConfigurationError:
    """Return the error for a part of the package whose extra is not installed.

    Args:
        needs: which part needs what, without a full stop, as in "The command line needs click".
        extra: the name of the extra.
    """
    return ConfigurationError(
        Sentence(
            '{needs}, which is not installed. Install what the extra "{extra}" brings: {command}',
            needs=needs,
            extra=extra,
            command=install_command(extra),
        )
    )


def install_command(extra: str) -> str:
    """Return the pip command that installs what an extra brings.

    It names the libraries, not this package: no index has the package, and the clone or wheel
    that it was installed from may be gone. The installed package's own metadata lists them.
    """
    try:
        libraries = _libraries(metadata.requires(_PACKAGE) or [], extra)
    except metadata.PackageNotFoundError:
        libraries = []
    if not libraries:
        # The package runs from a clone that is not installed, or was before it had this extra.
        libraries = [f"{Path(__file__).parents[1]}[{extra}]"]
    return " ".join(["pip install", *(f'"{each}"' for each in libraries)])


def _libraries(requirements: list[str], extra: str) -> list[str]:
    """Return the requirements of an extra and of the extras that it names.

    Args:
        requirements: the metadata's, such as ``tzdata; os_name == "nt" and extra == "campaign"``.
        extra: the name of the extra.
    """
    found: dict[str, None] = {}
    for each in requirements:
        requirement, _, marker = (part.strip() for part in each.partition(";"))
        others = marker.replace("'", '"').split(" and ")
        if f'extra == "{extra}"' not in others:
            continue
        if requirement.startswith(f"{_PACKAGE}["):
            for name in requirement[len(_PACKAGE) + 1 : -1].split(","):
                found.update(dict.fromkeys(_libraries(requirements, name)))
            continue
        others.remove(f'extra == "{extra}"')
        # pip reads a marker on its command line, too; these are quoted for every shell.
        condition = " and ".join(others).replace('"', "'")
        found[f"{requirement}; {condition}" if condition else requirement] = None
    return list(found)
