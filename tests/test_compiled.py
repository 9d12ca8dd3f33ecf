"""The program with its hot path compiled, as `make run COMPILED=1` serves it, does what the interpreted one does."""

import os
import runpy
import subprocess
import sys
import tomllib
import zipfile
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TESTS = (
    "tests/access", "tests/sealing/test_keyed.py", "tests/sealing/test_values_and_random.py", "tests/storage/test_derived.py",
    "tests/audit/test_form.py", "tests/audit/test_record.py", "tests/audit/test_recovery.py", "tests/audit/test_trail.py",
    "tests/edge/test_admission.py", "tests/edge/test_faults.py", "tests/edge/test_http.py", "tests/edge/test_metrics.py",
    "tests/edge/test_with_the_core.py", "tests/test_courses.py", "tests/test_pipeline.py",
    "tests/clients/test_secret_life.py", "--deselect=tests/clients/test_secret_life.py::test_the_aws_command_line_takes_a_secret_through_its_whole_life",
)  # fmt: skip
HIDING = """
try:
    1 / 0
except ZeroDivisionError: raise ValueError from None
try:
    1 / 0
except ZeroDivisionError as fault:
    raise ValueError from fault
except ArithmeticError as fault:
    raise ValueError from other
raise ValueError from fault
"""
MACHINE_CODE = tuple(EXTENSION_SUFFIXES)
NAMES = "import importlib, sys; print(*(importlib.import_module(each).__file__ for each in sys.argv[1:]))"


def built(directory: Path) -> Path:
    """What is in the wheel that `scripts/wheel` builds."""
    command = [str(ROOT / "scripts" / "wheel"), sys.executable, str(directory)]
    done = subprocess.run(
        command, env={**os.environ, "MYPYC_OPT_LEVEL": "0"},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    (wheel,) = directory.glob("*.whl")
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(directory / "packages")
    return directory / "packages"


def said_with(packages: Path, *arguments: str) -> str:
    """What our Python prints for `arguments`, where it finds these packages before any other."""
    done = subprocess.run(
        [sys.executable, *arguments], env={**os.environ, "PYTHONPATH": str(packages)}, cwd=ROOT,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_what_is_to_be_compiled_is_and_passes_its_tests(tmp_path: Path):
    packages = built(tmp_path)
    hooks = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]["hooks"]
    modules = [f"geumgo.{each.replace('/', '.')}" for each in hooks["custom"]["modules"]]
    files = said_with(packages, "-c", NAMES, *modules).split()
    assert [file for file in files if not file.startswith(str(packages)) or not file.endswith(MACHINE_CODE)] == []
    assert len(files) == len(modules) > 20
    assert said_with(packages, "-m", "geumgo", "--version").endswith(", compiled\n")
    said_with(packages, "-m", "pytest", "-p", "no:cacheprovider", *TESTS)


def test_what_hides_something_by_raising_from_none_is_not_compiled(tmp_path: Path):
    """mypyc drops the `from` of `raise`: what is being handled is told in any case, and nothing else."""
    hiding = tmp_path / "hiding.py"
    hiding.write_text(HIDING)
    compiled = runpy.run_path(str(ROOT / "scripts" / "compiled.py"))
    with pytest.raises(ValueError, match=r"hiding\.py:4, .*hiding\.py:10, .*hiding\.py:11$"):
        compiled["refuse_what_would_mean_something_else"]([str(hiding)])
