"""A campaign at a terminal of 80 columns, in both languages, as recordings in ``artefacts/``."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from rich.text import Text

from tests.support import terminal_picture
from tests.support.services import skip_or_fail
from yunxin_soap.campaign import Ledger
from yunxin_soap.cells import cell_width
from yunxin_soap.cli import cli
from yunxin_soap.cli.commands import Command, Group
from yunxin_soap.sandbox import Sandbox

RECORDINGS = Path(__file__).parents[2] / "artefacts"
COLUMNS = 80
NUMBERS = 200
NAME = "春节"
ENDED = {"zh": r"^春节: 未完成$", "en": r"^春节: open$"}
WORDS = {
    "zh": (
        "已建立任务 春节。",
        "发送？",
        "发送中的提交结束后停止",
        "待发送",
        "继续运行（请加上同样的选项）：",
        "春节: 已完成",
    ),
    "en": (
        "Planned 春节.",
        "Send?",
        "Stopping once the submissions",
        "pending",
        "Go on with this command and the same options: yunxin-soap campaign run '春节'",
        "春节: done",
    ),
}


class Terminal:
    """A terminal of tmux, with a shell.

    Args:
        folder: where the shell is, and the socket of the server of its own.
        environment: what the shell has.
    """

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self._socket = folder / "tmux"
        variables = [f"{name}={value}" for name, value in environment.items()]
        shell = shlex.join(["env", "-i", *variables, "bash", "--norc", "--noprofile"])
        size = ["-x", str(COLUMNS), "-y", "24"]
        self._tmux("-u", "-f", "/dev/null", "new", "-d", *size, "-c", str(folder), shell)

    def _tmux(self, *arguments: str) -> str:
        command = ["tmux", "-S", str(self._socket), *arguments]
        # tmux shows what the encoding of its own locale has.
        environment = {**os.environ, "LC_ALL": "C.UTF-8"}
        environment.pop("TMUX", None)
        return subprocess.run(
            command, env=environment, check=True, capture_output=True, text=True, encoding="utf-8"
        ).stdout

    def type(self, text: str, key: str = "Enter") -> None:
        """Type a text, and press a key."""
        self._tmux("send-keys", "-l", text) if text else None
        self._tmux("send-keys", key)

    def screen(self) -> str:
        """Return what the terminal shows, and what has left it at its top."""
        return self._tmux("capture-pane", "-p", "-S", "-500").rstrip() + "\n"

    def picture(self) -> str:
        """Return the screen as an SVG picture, in its colours."""
        shown = self._tmux("capture-pane", "-pe", "-S", "-500").rstrip()
        return terminal_picture.draw(
            lambda console: console.print(Text.from_ansi(shown)), COLUMNS, "yunxin-soap campaign"
        )

    def wait_for(self, is_there: Callable[[str], object]) -> str:
        """Wait until something is on the screen; return the screen."""
        end = time.monotonic() + 60
        while not is_there(screen := self.screen()):
            assert time.monotonic() < end, screen
            time.sleep(0.05)  # a terminal tells nobody that it has changed
        return screen

    def close(self) -> None:
        """End the shell and what runs in it."""
        self._tmux("kill-server")


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """A gateway that is slow enough for a person to press Ctrl-C."""
    with Sandbox() as running:
        running.inject_fault("delay", times=None, seconds=0.1)
        yield running


@pytest.mark.parametrize("language", ["zh", "en"])
def test_terminal_shows_the_whole_campaign(sandbox: Sandbox, tmp_path: Path, language: str) -> None:
    """Plan, run, Ctrl-C and resume: in the locale's language, and the bar counts all numbers."""
    if shutil.which("tmux") is None:
        skip_or_fail("no tmux")
    (tmp_path / "list.txt").write_text(
        "".join(f"139{each:08}\n" for each in range(20_000_000, 20_000_000 + NUMBERS))
    )
    terminal = Terminal(
        tmp_path,
        {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "HOME": str(tmp_path),
            "TERM": "screen-256color",
            "PS1": "$ ",
            # The shell, too, needs an encoding that every machine has.
            "LC_CTYPE": "C.UTF-8",
            "LANG": {"zh": "zh_CN.UTF-8", "en": "en_US.UTF-8"}[language],
            "YUNXIN_ENDPOINT": sandbox.url,
            "YUNXIN_LEDGER": "ledger.db",
            "YUNXIN_USER_CODE": "demo",
            "YUNXIN_USER_PASS": "demo",
            "YUNXIN_CHANNEL": "37",
        },
    )
    try:
        plan = "--text list.txt --message '您好【签名】' --max-recipients 10"
        terminal.type(f"yunxin-soap campaign plan {NAME} {plan}")
        terminal.wait_for(lambda screen: WORDS[language][0] in screen)
        terminal.wait_for(lambda screen: screen.endswith("\n$\n"))
        terminal.type(f"yunxin-soap campaign run {NAME} --concurrency 1")
        terminal.wait_for(lambda screen: WORDS[language][1] in screen)
        terminal.type("y")
        terminal.wait_for(lambda screen: _counts(screen) and max(_counts(screen)) >= NUMBERS // 4)
        terminal.type("", "C-c")
        stopped = terminal.wait_for(lambda screen: re.search(ENDED[language], screen, re.MULTILINE))
        done = _counts(stopped)[-1]
        assert NUMBERS // 4 <= done < NUMBERS
        terminal.wait_for(lambda screen: screen.endswith("\n$\n"))
        resume = f"yunxin-soap campaign resume {NAME} --concurrency 1 --yes"
        terminal.type(resume)
        first = terminal.wait_for(
            lambda screen: resume in screen and _counts(screen.rpartition(resume)[2])
        )
        # What was done before counts from the start.
        assert done <= _counts(first)[-1] < NUMBERS
        recording = terminal.wait_for(lambda screen: WORDS[language][-1] in screen)
        assert _counts(recording)[-1] == NUMBERS
        picture = terminal.picture()
    finally:
        terminal.close()
    RECORDINGS.mkdir(exist_ok=True)
    (RECORDINGS / f"terminal-{language}.txt").write_text(
        f"{recording}\nJust after it was resumed:\n{first[first.rindex(resume) :]}", "utf-8"
    )
    (RECORDINGS / f"terminal-{language}.svg").write_text(picture, "utf-8")
    assert [each for each in WORDS[language] if each not in recording] == []
    assert max(map(cell_width, recording.splitlines())) <= COLUMNS
    assert len(sandbox.inbox) == NUMBERS // 10


def _counts(screen: str) -> list[int]:
    """Return how many of all numbers each bar on a screen shows."""
    return [int(each) for each in re.findall(rf"^(\d+)/{NUMBERS} ", screen, re.MULTILINE)]


@pytest.mark.parametrize("language", ["zh", "en"])
def test_help_is_whole_and_fits(language: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every help has its lines whole, at most 80 cells wide, and in the user's language."""
    monkeypatch.setenv("COLUMNS", str(COLUMNS))
    pages = {}
    for path in _commands((), cli):
        pages[path] = CliRunner().invoke(cli, ["--lang", language, *path, "--help"]).output
    RECORDINGS.mkdir(exist_ok=True)
    shown = "\n".join(
        f"$ yunxin-soap {' '.join(path)} --help\n{page}" for path, page in pages.items()
    )
    (RECORDINGS / f"help-{language}.txt").write_text(shown, "utf-8")
    wide = [line for line in shown.splitlines() if cell_width(line) > COLUMNS]
    assert wide == []
    assert re.findall(r"^ .*\w\.\.\.$", shown, re.MULTILINE) == []
    is_chinese = {path: "退出状态" in page or "命令:" in page for path, page in pages.items()}
    assert set(is_chinese.values()) == {language == "zh"}


def _commands(path: tuple[str, ...], command: object) -> Iterator[tuple[str, ...]]:
    yield path
    if isinstance(command, Group):
        for name, each in command.commands.items():
            assert isinstance(each, (Command, Group)), f"{name} is not translated"
            yield from _commands((*path, name), each)


def test_shell_completes_campaigns_and_protocols(tmp_path: Path) -> None:
    """The names come from the ledger; without one there is none, and no traceback."""
    address = str(tmp_path / "ledger.db")
    with Ledger(address) as ledger:
        for name in ("spring", "summer", "autumn"):
            ledger.plan(name, ["13900000000"], f"{name}【签名】", channel="37")
        ledger.pace.set("slow", rate=1)
    assert _completions("campaign run s", address) == ["spring", "summer"]
    assert _completions("pace remove ", address) == ["slow"]
    assert _completions("--lang zh send --protocol soap", address) == ["soap", "soap12"]
    assert _completions("campaign run ", str(tmp_path / "none.db")) == []
    assert not (tmp_path / "none.db").exists()


def _completions(line: str, ledger: str) -> list[str]:
    words = f"yunxin-soap {line}"
    variables = {
        "_YUNXIN_SOAP_COMPLETE": "bash_complete",
        "COMP_WORDS": words,
        "COMP_CWORD": str(words.count(" ")),
        "YUNXIN_LEDGER": ledger,
    }
    done = CliRunner().invoke(cli, [], prog_name="yunxin-soap", env=variables)
    assert done.stderr == ""
    return [each.removeprefix("plain,") for each in done.stdout.splitlines() if each]
