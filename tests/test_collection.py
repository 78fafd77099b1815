"""That pytest finds every class of tests: one whose name fits no pattern would be left out without a word."""

from __future__ import annotations

import ast
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

TESTS = Path(__file__).parent


def classes_with_tests(source: str) -> list[str]:
    """The names of the module's classes that hold test methods."""
    return [
        node.name
        for node in ast.parse(source).body
        if isinstance(node, ast.ClassDef)
        and any(getattr(member, "name", "").startswith("test_") for member in node.body)
    ]


class TheTestClasses:
    def test_fit_the_patterns_that_pytest_collects_by(self, request: pytest.FixtureRequest) -> None:
        patterns = request.config.getini("python_classes")
        missed = [
            f"{path.relative_to(TESTS)}: {name}"
            for path in sorted(TESTS.rglob("test_*.py"))
            for name in classes_with_tests(path.read_text(encoding="utf-8"))
            if not any(fnmatchcase(name, pattern) for pattern in patterns)
        ]
        assert missed == []

    def test_are_seen_by_this_check(self) -> None:
        assert classes_with_tests("class Something:\n    def test_it(self): ...\n") == ["Something"]
