"""P17 for a machine that was suspended past its lease: when it wakes, a function that ran for a job is told that the job may be another's, and carried no further."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.promises import suspended


def what_is_told(what: str, directory: Path, *faults: str) -> Any:
    command = [sys.executable, "-m", "tests.promises.suspended", *faults, what, str(directory)]
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)


def test_a_job_is_not_held_after_its_machine_was_suspended(tmp_path: Path) -> None:
    assert what_is_told("job", tmp_path) == [True, False]


def test_a_function_is_carried_no_further_after_its_machine_was_suspended(tmp_path: Path) -> None:
    assert what_is_told("function", tmp_path) == [True, False, "Sandbox.StoodStill"]


def test_a_clock_that_stands_still_with_the_machine_is_caught(tmp_path: Path) -> None:
    fault = suspended.counts_only_the_time_that_it_was_awake.__name__
    assert what_is_told("job", tmp_path, fault) == [True, True]
    assert what_is_told("function", tmp_path, fault) == [True, True, ""]
