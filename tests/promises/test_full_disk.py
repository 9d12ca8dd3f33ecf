"""P4: on a full disk nothing is answered without its record, deletions work, and everything does again once there is space.

The server's data are on a small file system of their own, which the test fills.
"""

import os
import random
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import botocore.exceptions
import pytest

from tests.promises import faulty_server
from tests.promises.test_kill_nine import Answers, unrecorded
from tests.server import GEUMGO, Server

SIZE: Final = 64 << 20  # bytes: 32 MiB are held back
SEGMENT_BYTES: Final = 1 << 20
SECRETS: Final = 20
RECOVERY_SECONDS: Final = 5.0
AS_ROOT: Final = [] if os.geteuid() == 0 else ["sudo", "-n"]
SAID_BY_AWS: Final = {"ServiceUnavailable", "ServiceUnavailableException"}


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", SIZE) as place:
        yield place


@contextmanager
def small_disk(place: Path, size_bytes: int) -> Iterator[Path]:
    """A file system of its own at `place`."""
    place.mkdir()
    owner = f"uid={os.geteuid()},gid={os.getegid()},mode=0700"
    options = f"size={size_bytes},{owner}"
    subprocess.run([*AS_ROOT, "mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)], check=True)
    try:
        yield place
    finally:
        subprocess.run([*AS_ROOT, "umount", str(place)], check=True)


class Filler:
    """A file that takes all the space there is."""

    def __init__(self, disk: Path) -> None:
        self._path = disk / "filler"

    def fill(self) -> None:
        with self._path.open("ab", buffering=0) as file:
            for size in (1 << 20, 1 << 12):
                try:
                    while file.write(bytes(size)):
                        pass
                except OSError:
                    continue

    def free(self) -> None:
        self._path.unlink()


@contextmanager
def serving(disk: Path, program: list[str] = GEUMGO) -> Iterator[Server]:
    environment = {"GEUMGO_SEGMENT_BYTES": str(SEGMENT_BYTES)}
    with Server(disk / "data", arguments=("--workers", "1"), environment=environment, program=program) as server:
        yield server


def tried(call: Callable[..., Any], **params: Any) -> bool:
    """Whether it was answered. Every refusal is that there is no space."""
    try:
        call(**params)
    except botocore.exceptions.ClientError as refusal:
        if refusal.response["Error"]["Code"] not in SAID_BY_AWS:
            raise
        return False
    return True


def exhaust(client: Any, filler: Filler, names: list[str], most: int = 4_000) -> int:
    """Read while the filler takes every byte that is given up, until nothing is answered any more. Answers how many were."""
    answered, refused = 0, 0
    for number in range(most):
        filler.fill()
        if tried(client.get_secret_value, SecretId=names[number % len(names)]):
            answered, refused = answered + 1, 0
        else:
            refused += 1
        if refused == 50:
            break
    return answered


def test_a_full_disk_makes_no_answer_without_a_record_and_everything_works_again_with_space(disk: Path) -> None:
    answers, filler = Answers(), Filler(disk)
    with serving(disk) as server:
        client = answers.listen(server.client("secretsmanager"))
        names = [f"kept-{number}" for number in range(SECRETS)]
        for name in names:
            client.create_secret(Name=name, SecretString=f"value of {name}")

        filler.fill()
        put = {}
        for number in range(2_000):
            value = random.Random(number).randbytes(15_000).hex()
            if not tried(client.put_secret_value, SecretId=names[0], SecretString=value):
                break
            put[names[0]] = value
        else:
            pytest.fail("the disk was never full")
        deleted = names[-5:]
        for name in deleted:
            assert tried(client.delete_secret, SecretId=name), f"{name} cannot be deleted on a full disk"

        exhausted = exhaust(client, filler, names[:-5])
        assert not tried(client.create_secret, Name="too-much", SecretString="x")

        filler.free()
        freed = time.monotonic()
        while not tried(client.create_secret, Name=f"new-{time.monotonic_ns()}", SecretString="x"):
            assert time.monotonic() - freed < RECOVERY_SECONDS, "it does not recover by itself"
        recovered = time.monotonic() - freed
        for name in names[:-5]:
            expected = put.get(name, f"value of {name}")
            assert client.get_secret_value(SecretId=name)["SecretString"] == expected
        for name in deleted:
            assert "DeletedDate" in client.describe_secret(SecretId=name)
        verdict = server.run("audit", "verify")
        assert verdict.returncode == 0, verdict.stdout + verdict.stderr
        told = len([each for each in answers.ids if each])
        missing = recorded_or_refused(server, answers)
    print(f"\n{told} answers, {exhausted} reads while space ran out; recovered after {recovered:.1f} s")
    assert not missing


def recorded_or_refused(server: Server, answers: Answers) -> set[str]:
    return unrecorded(server, answers) - answers.unavailable


def test_a_server_that_swallows_a_full_trail_is_caught(disk: Path) -> None:
    answers, filler = Answers(), Filler(disk)
    with serving(disk, faulty_server.with_fault(faulty_server.swallows_a_full_trail)) as server:
        client = answers.listen(server.client("secretsmanager"))
        client.create_secret(Name="kept", SecretString="x")
        exhaust(client, filler, ["kept"])
        filler.free()
        assert recorded_or_refused(server, answers)
