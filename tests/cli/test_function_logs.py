"""`geumgo functions log`: what a function has printed."""

from pathlib import Path

from click.testing import CliRunner, Result

from geumgo.cli.functions import functions
from geumgo.functions.log_files import LARGEST_BYTES, LogFiles


def ask(data: Path, *arguments: str) -> Result:
    return CliRunner().invoke(functions, ["log", "--data", str(data), *arguments])


def test_a_log_is_printed_oldest_first(tmp_path: Path) -> None:
    logs, arn = LogFiles(tmp_path / "functions"), "arn:aws:lambda:eu-west-1:111122223333:function:greets"
    (tmp_path / "functions").mkdir()
    logs.append(arn, b"old\n" + b"x" * LARGEST_BYTES + b"\n")
    logs.append(f"{arn}:live", b"new\n")
    got = ask(tmp_path, "greets")
    assert got.exit_code == 0
    assert got.output.startswith("old\n")
    assert got.output.endswith("x\nnew\n")


def test_one_of_several_is_named(tmp_path: Path) -> None:
    logs = LogFiles(tmp_path / "functions")
    for account in ("111122223333", "444455556666"):
        for region in ("eu-west-1", "us-east-1"):
            logs.append(f"arn:aws:lambda:{region}:{account}:function:f", f"{account} {region}\n".encode())
    assert "There are several: 111122223333 in eu-west-1, " in ask(tmp_path, "f").output
    assert ask(tmp_path, "f", "--account", "444455556666", "--region", "us-east-1").output == "444455556666 us-east-1\n"
    for wrong in ("other", "*", "../f"):
        assert ask(tmp_path, wrong).exit_code == 1
