"""Each top-level name means the package in this repository, whoever else uses the name.

`guardrails` is also a package on PyPI, and `serve`, `rag` and `settings` are names that anybody
might take. Nothing of vSage is installed; commands run from the root, which Python searches first.
"""

from __future__ import annotations

import importlib
import subprocess
import sys
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
NAMES = ("rag", "guardrails", "serve", "settings")


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python whose site-packages hold other packages of our names."""
    folder = tmp_path_factory.mktemp("hostile")
    venv.create(folder, with_pip=False)
    (site,) = folder.glob("lib/python*/site-packages")
    for name in NAMES:
        (site / name).mkdir()
        (site / name / "__init__.py").write_text("raise ImportError('the wrong package')\n")
        (site / name / "__main__.py").write_text("raise SystemExit('the wrong package')\n")
    return folder / "bin" / "python"


@pytest.mark.parametrize("name", NAMES)
def test_under_pytest_it_is_ours(name: str) -> None:
    path = importlib.import_module(name).__file__
    assert path is not None
    assert Path(path).resolve().is_relative_to(ROOT.resolve())
    assert "site-packages" not in path


def test_from_the_root_it_is_ours(hostile: Path) -> None:
    """By the file found for the name: that Python has none of our dependencies."""
    code = "import importlib.util as u; print(*(u.find_spec(n).origin for n in {names}))"
    ran = run(hostile, ["-c", code.format(names=NAMES)], ROOT)
    found = [Path(path) for path in ran.stdout.split()]
    assert len(found) == len(NAMES), ran.stderr
    assert all(path.is_relative_to(ROOT) and "site-packages" not in str(path) for path in found)


def test_the_hostile_packages_would_be_met_elsewhere(hostile: Path, tmp_path: Path) -> None:
    """Else the test above would prove nothing."""
    ran = run(hostile, ["-m", "guardrails"], tmp_path)
    assert "the wrong package" in ran.stderr


@pytest.mark.parametrize("command", ["rag", "guardrails", "serve"])
def test_python_m_from_the_root_runs_ours(hostile: Path, command: str) -> None:
    ran = run(hostile, ["-m", command, "--help"], ROOT)
    assert "the wrong package" not in ran.stderr
    # Ours gets as far as its first dependency, which that Python lacks.
    assert "No module named" in ran.stderr


def run(python: Path, arguments: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(python), *arguments], cwd=folder, capture_output=True, text=True, check=False
    )


def test_nothing_of_ours_is_installed() -> None:
    """A copy in site-packages would be met by whoever runs from another folder."""
    site = [Path(path) for path in sys.path if path.endswith("site-packages")]
    assert not [path / name for path in site for name in NAMES if (path / name).exists()]
