"""Logs say what happened and what to do next, and never a value."""

import json
import logging
import subprocess
import sys
from typing import Any

import pytest
import structlog

from geumgo import logs
from geumgo.sealing import Plaintext
from geumgo.settings import Settings


@pytest.fixture(autouse=True)
def restored():
    yield
    structlog.reset_defaults()
    logging.basicConfig(handlers=[logging.NullHandler()], force=True)


def logged(capsys: pytest.CaptureFixture[str], **fields: Any) -> dict[str, Any]:
    logs.configure(Settings())
    structlog.get_logger("geumgo.test").error("it happened", **fields)
    found: dict[str, Any] = json.loads(capsys.readouterr().err)
    return found


def test_a_line_is_one_json_object_with_level_and_time(capsys):
    found = logged(capsys, next="do this")
    assert (found["event"], found["level"], found["next"]) == ("it happened", "error", "do this")
    assert found["timestamp"].endswith("Z")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SecretString", "canary"), ("secret_string", "canary"), ("password", "canary"), ("Authorization", "canary"),
        ("note", Plaintext(b"canary")), ("note", b"canary"), ("note", {"SecretString": "canary"}), ("note", [Plaintext(b"canary")]),
        ("note", {"a": [{"password": "canary"}, b"canary"]}), ("X-Amz-Security-Token", "canary"), ("db_password", "canary"),
    ],
)  # fmt: skip
def test_what_must_not_be_seen_is_stars(capsys, name: str, value: Any):
    assert "canary" not in json.dumps(logged(capsys, **{name: value}))


def break_down(value: str) -> None:
    assert value
    raise ValueError("it broke")


def test_a_traceback_shows_no_local_variables(capsys):
    logs.configure(Settings())
    try:
        break_down("-".join(["canary", "1"]))
    except ValueError as fault:
        structlog.get_logger("geumgo.test").critical("the end", exc_info=fault)
    said = capsys.readouterr().err
    assert "it broke" in said
    assert "canary-1" not in said


def test_what_is_below_the_level_is_not_written(capsys):
    logs.configure(Settings(log_level="error"))
    structlog.get_logger("geumgo.test").warning("it happened")
    assert capsys.readouterr().err == ""


def test_other_libraries_log_in_the_same_form(capsys):
    logs.configure(Settings())
    logging.getLogger("some.library").error("Exception in %s", "ASGI")
    found = json.loads(capsys.readouterr().err)
    assert (found["event"], found["logger"], found["level"]) == ("Exception in ASGI", "some.library", "error")


def test_text_is_for_people():
    program = "import structlog; from geumgo import logs; from geumgo.settings import Settings; logs.configure(Settings(log_format='text')); structlog.get_logger().error('it happened', secret='canary')"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=30)
    assert "it happened" in done.stderr
    assert "canary" not in done.stderr
