"""The mutants that are made, and the explanations of those that no test can notice."""

from __future__ import annotations

import ast

import pytest

from tests.mutation.__main__ import CHECKOUT, TARGETS
from tests.mutation.explained import EXPLAINED
from tests.mutation.mutants import mutants


@pytest.mark.parametrize(
    ("source", "changes"),
    [
        ("x = a < b", ["a < b -> a <= b", "a < b -> a >= b"]),
        ("x = a and b", ["a and b -> a or b"]),
        ("x = not a", ["not a -> a"]),
        ("x = 3", ["3 -> 4"]),
        ("x = True", ["True -> False"]),
        ("x = 'soap'", ["'soap' -> 'soapX'"]),
        ("x = '[0-9]{0,8}'", ["'[0-9]{0,8}' -> '[0-9]{1,8}'", "'[0-9]{0,8}' -> '[0-9]{0,9}'"]),
        ("def f():\n    return a", ["return a -> return None"]),
        ("if a:\n    b()", ["if a: -> if not a:", "b() -> pass"]),
        ("x = State.PENDING", ["State.PENDING -> State.UNKNOWN"]),
        ("x = 1\ny = 1", ["1 -> 2", "1 -> 2 (2)"]),
        # What only people read, or a type checker:
        ("'''Words.'''\nx = 'two words'\ny = '余额不足'\nz = f'{a}b'", []),
        ("if TYPE_CHECKING:\n    b()\ndef f(a: 1) -> 1: ...", []),
        ("class A:\n    def __repr__(self):\n        return 'A'", []),
    ],
)
def test_mutants_are_all_small_changes_of_what_the_program_does(
    source: str, changes: list[str]
) -> None:
    """Each kind of change is made; texts for people are left alone."""
    made = mutants(source)
    assert [each.change for each in made] == changes
    assert all(ast.unparse(each.tree()) != ast.unparse(ast.parse(source)) for each in made)


def test_mutant_names_its_line_and_function() -> None:
    """A mutant says where it is, so that a person finds it."""
    (mutant,) = mutants("class A:\n    def f(self):\n        return b")
    assert (mutant.line, mutant.function) == (3, "A.f")


def test_targets_and_their_tests_exist() -> None:
    """Each module that the command knows is there, and so are its tests."""
    modules = [f"yunxin_soap/{name.replace('.', '/')}.py" for name in TARGETS]
    paths = [*modules, *(path for tests in TARGETS.values() for path in tests)]
    assert [path for path in paths if not (CHECKOUT / path).is_file()] == []


@pytest.mark.parametrize("name", TARGETS)
def test_each_explanation_is_of_a_mutant_and_has_a_reason(name: str) -> None:
    """An explanation of a mutant that there is no longer must go."""
    source = (CHECKOUT / "yunxin_soap" / f"{name.replace('.', '/')}.py").read_text("utf-8")
    made = {(each.function, each.change) for each in mutants(source)}
    for function, change, why in EXPLAINED.get(name, ()):
        assert (function, change) in made
        assert len(why.split()) > 3
    assert EXPLAINED.keys() <= TARGETS.keys()
