"""Runs the code blocks of a page of the documents, in their order, as its reader would.

The README, in both languages, is a page, too. A page has one folder, one set of Python names and
one sandbox. A block is run by its language:

- ``python`` is executed in this process. A block whose first line is ``# name.ext`` is a file.
- ``sh`` is run by bash. Variables that it exports are kept for the blocks below.
- ``console`` has commands after ``$``, and the output of each where it is shown; ``…`` stands for
  any text.
- ``text`` is for people. Every other language, such as ``sql``, needs one of the comments below.

An HTML comment above a block says what is done instead, or more:

- ``<!-- file: NAME -->``: the block is written to that file.
- ``<!-- output -->``: the output of the block above must be this one.
- ``<!-- status: 3 -->``: the last command ends with that exit status.
- ``<!-- background: TEXT -->``: the block's last command goes on; the next block waits until it
  has printed TEXT.
- ``<!-- interrupt: 20 -->``: Ctrl-C is pressed once the sandbox has accepted 20 submissions of the
  block's command.
- ``<!-- run by: tests/….py::test_… -->``: that test runs the block.
- ``<!-- not run: REASON -->``: nothing runs it, and the reason says why not.
- ``<!-- run: CODE -->``: Python that readers do not see, to prepare something or to check it. It
  has the names ``sandbox`` and ``use_sandbox()``, which sets the variables of a user of it.

``127.0.0.1:8080`` in a block is the address of the page's sandbox.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from yunxin_soap.sandbox import Sandbox

TOP = Path(__file__).parents[2]
DOCS = TOP / "docs"
READMES = (TOP / "README.md", TOP / "README.zh-CN.md")
PAGES = [*READMES, *sorted(path for path in DOCS.rglob("*.md") if "_build" not in path.parts)]

_WAIT = 60.0
"""Seconds for a command to end, or to print what is waited for."""
_PART = re.compile(
    r"^<!--\s*(?P<word>[a-z ]+?)(?::\s*(?P<value>.*?))?\s*-->$"
    r"|^(?P<fence>`{3,})(?P<language>[\w-]+)\n(?P<code>.*?)^(?P=fence)$",
    re.DOTALL | re.MULTILINE,
)
_FILE_NAME = re.compile(r"# ([\w./@-]+\.\w+)\n")
_WORDS = frozenset(
    {"file", "output", "status", "background", "interrupt", "run by", "not run", "run"}
)


@dataclass
class Block:
    """A code block of a page."""

    language: str
    code: str
    line: int
    marks: dict[str, str] = field(default_factory=dict)
    """What the comments above it say."""

    @property
    def file_name(self) -> str | None:
        """The file that it is written to."""
        named = _FILE_NAME.match(self.code)
        return self.marks.get("file") or (named[1] if named else None)


def read_blocks(path: Path) -> list[Block]:
    """Return the code blocks of a page, and its hidden code as blocks of the language ``run``.

    Raises:
        ValueError: a comment above a block has an unknown word.
    """
    text = path.read_text("utf-8")
    blocks: list[Block] = []
    marks: dict[str, str] = {}
    for part in _PART.finditer(text):
        line = text.count("\n", 0, part.start()) + 1
        if part["fence"]:
            blocks.append(Block(part["language"], part["code"], line + 1, marks))
            marks = {}
        elif part["word"] == "run":
            blocks.append(Block("run", part["value"] + "\n", line))
        elif part["word"] in _WORDS:
            marks[part["word"]] = part["value"] or ""
        else:
            raise ValueError(f"{path}:{line}: {part['word']!r} is not one of {sorted(_WORDS)}")
    return blocks


def find_block(path: Path, start: str) -> str:
    """Return the one block of a page whose code starts with a text."""
    (found,) = (each.code for each in read_blocks(path) if each.code.startswith(start))
    return found


def matches(expected: str, found: str) -> bool:
    """Return whether an output is the expected one, in which ``…`` stands for any text."""
    pattern = ".*?".join(re.escape(part.strip(" ")) for part in expected.strip().split("…"))
    lines = "\n".join(line.rstrip() for line in found.strip().splitlines())
    return re.fullmatch(pattern.replace("\\\n", "\\s*\n\\s*"), lines, re.DOTALL) is not None


class PageRun:
    """Runs the blocks of a page.

    Args:
        path: the page.
        folder: an empty folder; it is the working directory already.
        sandbox: an empty sandbox.
    """

    def __init__(self, path: Path, folder: Path, sandbox: Sandbox) -> None:
        self._path = path
        self._folder = folder
        self._sandbox = sandbox
        self._names: dict[str, Any] = {
            "__name__": "page",
            "sandbox": sandbox,
            "use_sandbox": self._use_sandbox,
        }
        self._output = ""
        self._background: list[tuple[subprocess.Popen[bytes], Path, str]] = []
        self._exported = folder / ".exported"

    def _use_sandbox(self) -> None:
        os.environ.update(
            YUNXIN_ENDPOINT=self._sandbox.url,
            YUNXIN_USER_CODE="demo",
            YUNXIN_USER_PASS="demo",
            YUNXIN_CHANNEL="37",
            YUNXIN_SIGNATURE="签名",
        )

    def run(self) -> None:
        """Run all blocks; end what is still running."""
        try:
            for block in read_blocks(self._path):
                self._run(block)
        finally:
            self._stop()
            self._forget_modules()

    def _run(self, block: Block) -> None:
        if "not run" in block.marks or "run by" in block.marks:
            return
        address = self._sandbox.url.split("/")[2]
        code = block.code.replace("127.0.0.1:8080", address)
        where = f"{self._path.relative_to(TOP)}:{block.line}"
        self._wait_for_background()
        if "output" in block.marks:
            assert matches(code, self._output), f"{where}: the output is\n{self._output}"
        elif block.file_name:
            file = self._folder / block.file_name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(code, "utf-8")
        elif block.language in ("python", "run"):
            printed = io.StringIO()
            with contextlib.redirect_stdout(printed):
                # The line breaks in front give the lines of a traceback their numbers in the page.
                exec(compile("\n" * (block.line - 1) + code, str(self._path), "exec"), self._names)
            # Hidden code that prints nothing leaves the output above as it is.
            if block.language == "python" or printed.getvalue():
                self._output = printed.getvalue()
        elif "background" in block.marks:
            self._start(code, block.marks["background"])
        elif block.language == "console":
            for command, expected in _commands(code):
                status = block.marks.get("status", "0")
                self._shell(command, int(status), where, int(block.marks.get("interrupt", 0)))
                is_shown = not expected.strip() or matches(expected, self._output)
                assert is_shown, f"{where}: the output of {command} is\n{self._output}"
        elif block.language == "sh":
            self._shell(code, int(block.marks.get("status", "0")), where)

    def _forget_modules(self) -> None:
        """Forget the modules of this page: another one may have a file of the same name."""
        for name, module in [*sys.modules.items()]:
            if Path(getattr(module, "__file__", None) or "/").parent == self._folder:
                del sys.modules[name]

    def _environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            # A reader has none of this repository's other plugins.
            "PYTEST_ADDOPTS": "-p yunxin_soap.pytest_plugin -p no:cacheprovider",
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            "PYTHONPATH": str(self._folder),
        }

    def _script(self, code: str) -> list[str]:
        known = f"[ ! -e {self._exported} ] || . {self._exported}\n"
        return ["bash", "-c", f"{known}set -eu\n{code}\nexport -p >{self._exported}"]

    def _shell(self, code: str, status: int, where: str, interrupt: int = 0) -> None:
        # With exec, the signal reaches the command and no shell.
        with subprocess.Popen(
            self._script(f"exec {code}" if interrupt else code),
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        ) as process:
            try:
                if interrupt:
                    self._interrupt(process, len(self._sandbox.inbox) + interrupt, where)
                output, _ = process.communicate(timeout=_WAIT)
            except BaseException:
                process.kill()
                raise
        self._output = output.decode("utf-8", "replace")
        assert process.returncode == status, f"{where}: {process.returncode}\n{self._output}"

    def _interrupt(self, process: subprocess.Popen[bytes], accepted: int, where: str) -> None:
        """Press Ctrl-C once the sandbox has accepted so many submissions."""
        deadline = time.monotonic() + _WAIT
        while len(self._sandbox.inbox) < accepted:
            assert process.poll() is None, f"{where}: it ended before it was interrupted"
            assert time.monotonic() < deadline, f"{where}: too few submissions"
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)

    def _start(self, code: str, until: str) -> None:
        log = self._folder / f".background-{len(self._background)}"
        *first, last = code.strip().splitlines(keepends=True)
        with log.open("wb") as output:
            process = subprocess.Popen(
                self._script("".join(first) + "exec " + last),
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        self._background.append((process, log, until))

    def _wait_for_background(self) -> None:
        deadline = time.monotonic() + _WAIT
        for process, log, until in self._background:
            while until not in (printed := log.read_text("utf-8", "replace")):
                assert process.poll() is None, f"it ended: {printed}"
                assert time.monotonic() < deadline, f"it does not print {until!r}: {printed}"
                time.sleep(0.05)

    def _stop(self) -> None:
        for process, _, _ in self._background:
            process.send_signal(signal.SIGTERM)
        for process, _, _ in self._background:
            try:
                process.wait(_WAIT)
            finally:
                process.kill()
                process.wait()


def _commands(code: str) -> list[tuple[str, str]]:
    """Return the commands of a ``console`` block, each with the output that is shown below it."""
    parts = re.split(r"^\$ ", code, flags=re.MULTILINE)
    assert not parts[0].strip(), "a console block begins with $"
    commands = []
    for part in parts[1:]:
        lines = part.splitlines()
        count = 1
        while lines[count - 1].endswith("\\"):
            count += 1
        commands.append(("\n".join(lines[:count]), "\n".join(lines[count:])))
    return commands
