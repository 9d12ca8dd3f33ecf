"""What `geumgo doctor` reads off the machine."""

import json
from pathlib import Path

from geumgo.cli.doctor import swap_areas
from tests.cli.test_commands import geumgo

HEAD = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"


def test_swap_on_a_disk_is_named_and_compressed_memory_is_not():
    assert swap_areas(HEAD) == []
    assert swap_areas(HEAD + "/dev/zram0 partition 1000 0 100\n") == []
    assert swap_areas(HEAD + "/dev/sda2 partition 1000 0 -2\n/swapfile file 10 0 -3\n") == ["/dev/sda2", "/swapfile"]


def test_doctor_looks_at_swap_and_that_alone_is_no_problem(tmp_path: Path):
    data = str(tmp_path / "data")
    assert geumgo("init", "--data", data).returncode == 0
    done = geumgo("doctor", "--data", data, "--json", GEUMGO_LISTEN="127.0.0.1:1")
    assert done.returncode == 0, done.stdout
    (swap,) = [finding for finding in json.loads(done.stdout) if finding["what"] == "swap"]
    assert swap["level"] in ("ok", "advice")
