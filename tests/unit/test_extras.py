"""The error for a missing extra names a command that works: for a wheel, and for a clone."""

from __future__ import annotations

import configparser
from pathlib import Path

import pytest

import yunxin_soap
from yunxin_soap.cli.language import translate_error, using
from yunxin_soap.extras import install_command, missing_extra
from yunxin_soap.sentences import Sentence

CLONE = Path(yunxin_soap.__file__).parents[1]
METADATA = """\
Metadata-Version: 2.4
Name: yunxin-soap
Version: 0.1.0
Provides-Extra: campaign
Requires-Dist: zeep>=4.3
Requires-Dist: click>=8.2; extra == "cli"
Requires-Dist: psycopg[binary]>=3.2; extra == 'campaign'
Requires-Dist: tzdata; platform_system == "Windows" and extra == "campaign"
Requires-Dist: yunxin-soap[campaign,cli]; extra == "all"
Requires-Dist: psycopg[binary]>=3.2; extra == "all"
"""


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the package installed with the metadata above."""
    folder = tmp_path / "yunxin_soap-0.1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(METADATA, "utf-8")
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    ("extra", "command"),
    [
        ("cli", 'pip install "click>=8.2"'),
        (
            "campaign",
            'pip install "psycopg[binary]>=3.2" "tzdata; platform_system == \'Windows\'"',
        ),
        (
            "all",
            'pip install "psycopg[binary]>=3.2" "tzdata; platform_system == \'Windows\'"'
            ' "click>=8.2"',
        ),
        # The clone has an extra that it did not have when it was installed.
        ("django", f'pip install "{CLONE}[django]"'),
    ],
)
def test_command_names_the_libraries_of_the_extra(extra: str, command: str) -> None:
    """It names them once each, with those of the extras inside, and no index needs the package."""
    assert install_command(extra) == command


@pytest.mark.usefixtures("installed")
def test_error_says_what_is_missing_in_both_languages() -> None:
    """What is missing, of which extra, and the command, as the last words to copy."""
    error = missing_extra(Sentence("The sandbox needs {library}", library="aiohttp"), "cli")
    assert str(error) == (
        "The sandbox needs aiohttp, which is not installed."
        ' Install what the extra "cli" brings: pip install "click>=8.2"'
    )
    with using("zh"):
        assert translate_error(error) == (
            '沙箱需要 aiohttp，但它没有安装。请安装扩展依赖 "cli" 的内容：pip install "click>=8.2"'
        )


def test_extras_have_no_condition_that_the_command_cannot_keep() -> None:
    """Only ``and`` is understood in a marker, so `setup.cfg` must have no ``or``."""
    parser = configparser.ConfigParser()
    parser.read(CLONE / "setup.cfg", "utf-8")
    for extra, lines in parser["options.extras_require"].items():
        markers = [line.partition(";")[2] for line in lines.splitlines() if line[:1] != "#"]
        assert not [each for each in markers if " or " in each or "(" in each], extra
