"""The arrows between the packages, read from the imports of every module."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("rag", "guardrails", "serve", "finetune", "infra")
MAY_IMPORT = {
    "rag": {"settings"},
    "guardrails": {"settings"},
    "serve": {"rag", "guardrails", "settings"},
    "finetune": {"settings"},
    "infra": {"settings"},
}
OURS = {*PACKAGES, "settings", "tests", "benchmarks"}
GENERIC = {"util", "utils", "common", "helper", "helpers", "misc", "shared", "base", "core", "lib"}
HEAVY = ("torch", "transformers", "nemoguardrails", "faiss", "sentence_transformers", "xllamacpp")
LIGHT = (
    "settings",
    "rag.config",
    "rag.errors",
    "rag.schema",
    "guardrails",
    "guardrails.config",
    "serve.config",
    "serve.errors",
    "serve.__main__",
)


def modules(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def imported(path: Path) -> Iterator[str]:
    """Top-level names of what a module imports, also within functions and by importlib."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            yield (node.module or "").split(".")[0]
        elif isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            dynamic = called in {"__import__", "import_module", "importlib.import_module"}
            if dynamic and node.args and isinstance(node.args[0], ast.Constant):
                yield str(node.args[0].value).split(".")[0]


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_imports_only_what_lies_below_it(package: str) -> None:
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in modules(package)
        for name in imported(path)
        if name in OURS - {package} - MAY_IMPORT[package]
    ]
    assert wrong == []


def test_settings_imports_none_of_the_packages() -> None:
    assert not set(imported(ROOT / "settings.py")) & OURS


def test_only_the_entry_points_and_serve_know_the_other_packages() -> None:
    """The arrows are all there are: no package stands beside those that the test above reads."""
    folders = {
        path.parent.name
        for path in ROOT.glob("*/__init__.py")
        if not path.parent.name.startswith(".")
    }
    assert folders <= set(PACKAGES)


def test_the_test_sees_what_it_forbids(tmp_path: Path) -> None:
    path = tmp_path / "sly.py"
    path.write_text(
        "import json\nfrom serve.chat import chat\n"
        "def f():\n    import finetune.train as t\n    __import__('infra')\n"
    )
    assert set(imported(path)) == {"json", "serve", "finetune", "infra"}


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_that_has_begun_has_its_errors_in_one_place(package: str) -> None:
    if not modules(package):
        pytest.skip(f"{package} has no modules yet")
    assert (ROOT / package / "__init__.py").is_file()
    assert (ROOT / package / "errors.py").is_file()


def test_no_module_is_named_after_nothing() -> None:
    found = [
        path.relative_to(ROOT)
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.stem in GENERIC and (path.suffix == ".py" or path.is_dir())
    ]
    assert found == []


def test_tests_are_flat() -> None:
    tests = ROOT / "tests"
    nested = [path.relative_to(tests) for path in tests.rglob("*.py") if path.parent != tests]
    assert nested == []
    assert not (tests / "__init__.py").exists()
    named = {path.name for path in tests.glob("*.py")}
    strange = {name for name in named if not name.startswith("test_")}
    servers = {"confluence_server.py", "bugzilla_server.py", "vcsim.py"}
    assert strange <= {"conftest.py", "fakes.py", *servers}


@pytest.mark.parametrize("module", LIGHT)
def test_importing_it_stays_light(module: str) -> None:
    code = f"import sys, {module}; print([m for m in {HEAVY!r} if m in sys.modules])"
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.strip() == "[]"
