"""Change each module that decides outcomes in small ways, and see whether a test notices.

``python -m tests.mutation [MODULE …]`` runs the module's tests once for each mutant, in a forked
process, up to the first failure, and prints each mutant that no test notices. The exit status is 0
if all of these are in `tests.mutation.explained`, and each explanation there still fits.

It is our own, and small, because mutmut 3 changes the bodies of functions alone, not the tables,
regular expressions, enumerations and properties that decide here; and cosmic-ray starts a whole
test process for each mutant, while a fork shares the libraries that are loaded.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from dataclasses import dataclass
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import spec_from_file_location
from pathlib import Path
from types import CodeType, ModuleType
from typing import TYPE_CHECKING

import pytest

from tests.mutation.explained import EXPLAINED
from tests.mutation.mutants import Mutant, mutants

if TYPE_CHECKING:
    from collections.abc import Sequence

CHECKOUT = Path(__file__).parents[2]
_EXCHANGES = (
    "tests/integration/client/test_exchange_connections.py",
    "tests/integration/client/test_exchange_addresses.py",
    "tests/integration/client/test_exchange_outcomes.py",
    "tests/integration/client/test_exchange_proxy.py",
    "tests/integration/client/test_exchange_tls.py",
    "tests/integration/client/test_exchange_tunnel.py",
    "tests/integration/client/test_exchange_valid_until.py",
)
TARGETS: dict[str, tuple[str, ...]] = {
    "results": ("tests/unit/test_results.py",),
    "codes": (
        "tests/unit/test_results.py",
        "tests/unit/test_errors.py",
        "tests/unit/test_codec.py",
        "tests/unit/campaign/test_decisions.py",
    ),
    "transport.failures": ("tests/unit/test_connect_reasons.py", *_EXCHANGES),
    "transport.retry": ("tests/unit/test_retry.py",),
    "wire.response_template": (
        "tests/unit/test_response_template.py",
        "tests/unit/test_codec.py",
    ),
    "wire.codec": ("tests/unit/test_codec.py",),
    "campaign.running.decisions": ("tests/unit/campaign/test_decisions.py",),
}
"""Each module, and the tests that are to notice its mutants."""
_OPTIONS = (
    *("-x", "-q", "-s", "--tb=no", "--no-header", "--hypothesis-seed=0"),
    *("--hypothesis-profile", "first failure"),
    *("-p", "no:randomly", "-p", "no:cacheprovider"),
)
_PATIENCE = 5.0
"""How many times as long as without a change the tests may take, and…"""
_LEAST_PATIENCE = 30.0
"""…seconds that they may take in any case. A mutant that takes longer is noticed."""
_LOOK_AGAIN = 0.02
_OUTPUT = os.dup(1)
"""The standard output of the command; that of its processes goes nowhere."""


class _Loader(SourceFileLoader):
    """Loads a module from a tree instead of its file."""

    def __init__(self, name: str, path: str, mutant: Mutant) -> None:
        super().__init__(name, path)
        self._mutant = mutant

    def get_code(self, fullname: str) -> CodeType:
        return compile(self._mutant.tree(), self.path, "exec", dont_inherit=True)


class _Finder(MetaPathFinder):
    """Finds the mutant of one module."""

    def __init__(self, name: str, path: Path, mutant: Mutant) -> None:
        self._name, self._path, self._mutant = name, str(path), mutant

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != self._name:
            return None
        loader = _Loader(fullname, self._path, self._mutant)
        return spec_from_file_location(fullname, self._path, loader=loader)


@dataclass
class _Run:
    """A process that tests one mutant."""

    mutant: Mutant
    ends_at: float


def main() -> int:
    """Run the command; return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("modules", nargs="*", metavar="MODULE", help=", ".join(TARGETS))
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes at once")
    options = parser.parse_args()
    if unknown := set(options.modules) - set(TARGETS):
        parser.error(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(TARGETS)}")
    os.chdir(CHECKOUT)
    silence = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(silence, descriptor)
    found = [_check(name, options.jobs) for name in options.modules or TARGETS]
    return 0 if all(found) else 1


class _Host:
    """A pytest plugin that tests all mutants of a module, each in a fork.

    It forks when pytest, its plugins and all libraries are loaded. The forks then load the package
    anew, with the mutant in it, and go on as pytest does.

    Args:
        name: the module, as `TARGETS` names it.
        jobs: how many processes at once.
    """

    def __init__(self, name: str, jobs: int) -> None:
        self._name, self._jobs = name, jobs
        self._module = f"yunxin_soap.{name}"
        self._path = CHECKOUT / "yunxin_soap" / f"{name.replace('.', '/')}.py"
        self._runs: dict[int, _Run] = {}
        self._is_host = True

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection(self) -> None:
        """Test all mutants, and end; in a fork, go on."""
        is_well = self._check()
        if self._is_host:
            os._exit(0 if is_well else 1)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, exitstatus: int) -> None:
        """End a fork at once; nobody reads its summary."""
        os._exit(int(exitstatus))

    def _check(self) -> bool:
        """Test all mutants of the module, and print what came of it.

        Returns:
            Whether every survivor is explained, and every explanation fits; True in a fork.
        """
        name, made = self._name, mutants(self._path.read_text("utf-8"))
        began = time.monotonic()
        process = self._fork(None)
        if not process:
            return True
        if os.waitpid(process, 0)[1] != 0:
            _say(f"{name}: its tests fail without any change: {' '.join(TARGETS[name])}")
            return False
        patience = max(_LEAST_PATIENCE, _PATIENCE * (time.monotonic() - began))
        survivors: list[Mutant] = []
        for mutant in made:
            process = self._fork(mutant)
            if not process:
                return True
            self._runs[process] = _Run(mutant, time.monotonic() + patience)
            self._await(self._jobs - 1, survivors)
        self._await(0, survivors)
        survivors.sort(key=lambda each: each.line)
        return self._report(made, survivors, time.monotonic() - began)

    def _report(self, made: list[Mutant], survivors: list[Mutant], seconds: float) -> bool:
        explained = {(function, change) for function, change, _ in EXPLAINED.get(self._name, ())}
        unexplained = [each for each in survivors if (each.function, each.change) not in explained]
        unfit = explained - {(each.function, each.change) for each in survivors}
        _say(
            f"{self._name}: {len(made)} mutants, {len(made) - len(survivors)} killed,"
            f" {len(survivors)} survivors, {len(survivors) - len(unexplained)} of them explained,"
            f" {seconds:.0f} s"
        )
        for each in unexplained:
            where = f"{self._path.relative_to(CHECKOUT)}:{each.line}"
            _say(f"  {where}: no test notices, in {each.function}: {each.change}")
        for function, change in sorted(unfit):
            _say(f"  the explanation fits no survivor any more, of {function}: {change}")
        return not unexplained and not unfit

    def _await(self, most: int, survivors: list[Mutant]) -> None:
        """Wait until no more than so many runs are left, and add the mutants that survived."""
        while len(self._runs) > most:
            process, status = os.waitpid(-1, os.WNOHANG)
            if process:
                run = self._runs.pop(process)
                if status == 0:
                    survivors.append(run.mutant)
                continue
            for process, run in self._runs.items():
                if time.monotonic() > run.ends_at:
                    os.killpg(process, signal.SIGKILL)
            time.sleep(_LOOK_AGAIN)

    def _fork(self, mutant: Mutant | None) -> int:
        """Fork, and return the id of the new process; there, prepare the mutant and return 0."""
        process = os.fork()
        if process:
            return process
        os.setpgid(0, 0)
        self._is_host = False
        for name in [*sys.modules]:
            if name.partition(".")[0] in ("yunxin_soap", "tests"):
                del sys.modules[name]
        if mutant is not None:
            sys.meta_path.insert(0, _Finder(self._module, self._path, mutant))
        return 0


def _check(name: str, jobs: int) -> bool:
    """Test all mutants of a module in a process of its own; return whether all is well."""
    process = os.fork()
    if process:
        return os.waitpid(process, 0)[1] == 0
    try:
        pytest.main([*_OPTIONS, *TARGETS[name]], plugins=[_Host(name, jobs)])
    finally:
        os._exit(2)  # the plugin ends the process


def _say(line: str) -> None:
    os.write(_OUTPUT, f"{line}\n".encode())


if __name__ == "__main__":
    sys.exit(main())
