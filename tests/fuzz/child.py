"""Fuzz one target in this process: ``python -m tests.fuzz.child TARGET [LIBFUZZER-ARGUMENT …]``."""

from __future__ import annotations

import sys
from pathlib import Path

import atheris

_PACKAGE = Path(__file__).parents[2] / "yunxin_soap"
_READERS = (
    "campaign/lists",
    "campaign/template.py",
    "campaign/values.py",
    "charsets.py",
    "encoding.py",
    "placeholders.py",
    "redact.py",
    "results.py",
    "sandbox/asmx",
    "transport/http11.py",
    "wire/codec.py",
    "wire/response_template.py",
)
"""What is instrumented: it takes long, so only what a target runs."""


def main() -> None:
    """Instrument the package, and run libFuzzer, which ends the process."""
    others = [
        ".".join(("yunxin_soap", *path.with_suffix("").parts)).removesuffix(".__init__")
        for path in (path.relative_to(_PACKAGE) for path in _PACKAGE.rglob("*.py"))
        if not path.as_posix().startswith(_READERS)
    ]
    with atheris.instrument_imports(include=["yunxin_soap"], exclude=others):
        from tests.fuzz.targets import TARGETS
    _, name, *arguments = sys.argv
    atheris.Setup([sys.argv[0], *arguments], TARGETS[name].check)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
