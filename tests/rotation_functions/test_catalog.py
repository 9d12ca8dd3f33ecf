"""The zips that are deployed."""

import io
import subprocess
import sys
from pathlib import Path

import pytest

from geumgo.rotation_functions import catalog


@pytest.mark.parametrize("name", sorted(catalog.FUNCTIONS))
def test_a_zip_is_the_same_each_time_and_has_the_handler(name: str, tmp_path: Path) -> None:
    one, two = io.BytesIO(), io.BytesIO()
    catalog.write_zip(name, one)
    catalog.write_zip(name, two)
    assert one.getvalue() == two.getvalue()
    path = tmp_path / "function.zip"
    path.write_bytes(one.getvalue())
    code = (
        f"import sys; sys.path.insert(0, {str(path)!r}); import lambda_function as f; assert callable(f.lambda_handler)"
    )
    code += "; assert not [m for m in sys.modules if m.split('.')[0] == 'geumgo']"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_command_lists_and_writes(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "geumgo", "functions"]
    listed = subprocess.run([*command, "list"], check=True, capture_output=True, text=True).stdout.split()
    assert set(catalog.FUNCTIONS) < set(listed)
    name = min(catalog.FUNCTIONS)
    subprocess.run([*command, "zip", name, "-o", str(tmp_path / "f.zip")], check=True, capture_output=True)
    expected = io.BytesIO()
    catalog.write_zip(name, expected)
    assert (tmp_path / "f.zip").read_bytes() == expected.getvalue()
