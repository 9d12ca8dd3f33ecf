"""A house at work, for `strace` to watch: mixed operations, one after the other, each answered before the next is asked.

    python -m tests.promises.mixed_work DIRECTORY OPERATIONS SEED [MUTANT]

Says on its output, a line each: "MARK ready" when the data directory is made, and "MARK N" when the first N requests have been answered. The
house is closed and opened again a few times on the way. A mutant is a product with one promise taken out of it, by name; see `MUTANTS`.
"""

import json
import os
import random
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import botocore.exceptions
import pytest

from geumgo import app
from geumgo.app import seals
from geumgo.audit.disk import Disk
from geumgo.storage import sqlite
from tests.clock import TurnedClock
from tests.house import House, turn_botocore

SEGMENT_BYTES: Final = 1 << 20  # the smallest; the zeros of a new one are the bulk of the log
CHECKPOINT_PAGES: Final = 150  # so that the log of SQLite is copied back now and then in a short run
RESTARTS: Final = 3


def normal_is_enough() -> None:
    """SQLite syncs its log at checkpoints only."""
    sqlite._SETTINGS["synchronous"] = 1


def the_trail_is_not_synced() -> None:
    setattr(Disk, "sync", lambda *_: None)  # noqa: B010


def names_are_not_synced() -> None:
    setattr(Disk, "sync_directory", lambda *_: None)  # noqa: B010


MUTANTS: Final[dict[str, Callable[[], None]]] = {
    each.__name__: each for each in (normal_is_enough, the_trail_is_not_synced, names_are_not_synced)
}


class Hands:
    """Does one operation after the other, chosen at random among those that make sense now."""

    def __init__(self, house: House, chance: random.Random) -> None:
        self.house, self.chance = house, chance
        self.secrets: list[str] = []
        self.deleted: list[str] = []
        self.keys: list[str] = []
        self.users: list[str] = []
        self.parameters: list[str] = []
        self.made = 0

    def one(self) -> None:
        kinds = [self.create, self.create_key, self.create_user, self.refused, self.put_parameter]
        kinds += (
            [self.put, self.put, self.tag, self.stage, self.read, self.describe, self.delete] if self.secrets else []
        )
        kinds += [self.restore] if self.deleted else []
        kinds += [self.encrypt, self.alias, self.disable] if self.keys else []
        kinds += [self.policy, self.access_key] if self.users else []
        kinds += [self.overwrite, self.label, self.read_tree, self.delete_parameter] if self.parameters else []
        self.chance.choice(kinds)()

    @property
    def secretsmanager(self) -> Any:
        return self.house.client("secretsmanager")

    def name(self, kind: str) -> str:
        self.made += 1
        return f"{kind}-{self.made}"

    def create(self) -> None:
        name = self.name("app/secret")
        value = "x" * self.chance.choice((10, 200, 5_000, 30_000))
        self.secretsmanager.create_secret(Name=name, SecretString=value, ClientRequestToken=str(uuid.uuid4()))
        self.secrets.append(name)

    def put(self) -> None:
        self.secretsmanager.put_secret_value(
            SecretId=self.chance.choice(self.secrets),
            SecretString=f"value {uuid.uuid4()}",
            ClientRequestToken=str(uuid.uuid4()),
        )

    def tag(self) -> None:
        self.secretsmanager.tag_resource(
            SecretId=self.chance.choice(self.secrets), Tags=[{"Key": "k", "Value": str(self.made)}]
        )

    def stage(self) -> None:
        name = self.chance.choice(self.secrets)
        versions = self.secretsmanager.describe_secret(SecretId=name)["VersionIdsToStages"]
        current = next(version for version, labels in versions.items() if "AWSCURRENT" in labels)
        self.secretsmanager.update_secret_version_stage(
            SecretId=name, VersionStage=self.name("label"), MoveToVersionId=current
        )

    def read(self) -> None:
        self.secretsmanager.get_secret_value(SecretId=self.chance.choice(self.secrets))

    def describe(self) -> None:
        self.secretsmanager.describe_secret(SecretId=self.chance.choice(self.secrets))

    def delete(self) -> None:
        name = self.chance.choice(self.secrets)
        self.secretsmanager.delete_secret(SecretId=name)
        self.secrets.remove(name)
        self.deleted.append(name)

    def restore(self) -> None:
        name = self.chance.choice(self.deleted)
        self.secretsmanager.restore_secret(SecretId=name)
        self.deleted.remove(name)
        self.secrets.append(name)

    def create_key(self) -> None:
        self.keys.append(self.house.client("kms").create_key()["KeyMetadata"]["KeyId"])

    def encrypt(self) -> None:
        self.house.client("kms").generate_data_key(KeyId=self.chance.choice(self.keys), KeySpec="AES_256")

    def alias(self) -> None:
        self.house.client("kms").create_alias(
            AliasName=f"alias/{self.name('a')}", TargetKeyId=self.chance.choice(self.keys)
        )

    def disable(self) -> None:
        self.house.client("kms").schedule_key_deletion(KeyId=self.keys.pop(), PendingWindowInDays=7)

    def create_user(self) -> None:
        name = self.name("user")
        self.house.client("iam").create_user(UserName=name)
        self.users.append(name)

    def policy(self) -> None:
        document = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "kms:*", "Resource": "*"}]}
        self.house.client("iam").put_user_policy(
            UserName=self.chance.choice(self.users), PolicyName=self.name("p"), PolicyDocument=json.dumps(document)
        )

    def access_key(self) -> None:
        self.house.client("iam").create_access_key(UserName=self.users.pop())

    @property
    def ssm(self) -> Any:
        return self.house.client("ssm")

    def put_parameter(self) -> None:
        name = self.name("/app/parameter")
        kind = self.chance.choice(("String", "SecureString"))
        self.ssm.put_parameter(Name=name, Value="x" * self.chance.choice((10, 4_000)), Type=kind)
        self.parameters.append(name)

    def overwrite(self) -> None:
        self.ssm.put_parameter(Name=self.chance.choice(self.parameters), Value=str(uuid.uuid4()), Overwrite=True)

    def label(self) -> None:
        self.ssm.label_parameter_version(Name=self.chance.choice(self.parameters), Labels=["live"])

    def read_tree(self) -> None:
        self.ssm.get_parameters_by_path(Path="/app", WithDecryption=True)

    def delete_parameter(self) -> None:
        self.ssm.delete_parameter(Name=self.parameters.pop())

    def refused(self) -> None:
        try:
            self.secretsmanager.get_secret_value(SecretId="nobody/knows")
        except botocore.exceptions.ClientError:
            return
        raise AssertionError("a secret that is not there was read")


class Numbers:
    """The numbers of requests, and how many of them were used."""

    def __init__(self) -> None:
        self.used = 0

    def __iter__(self) -> "Numbers":
        return self

    def __next__(self) -> int:
        self.used += 1
        return self.used - 1


def say(text: str) -> None:
    os.write(1, f"MARK {text}\n".encode())


def build(directory: Path, clock: TurnedClock) -> House:
    house = House.build(directory, clock, segment_bytes=SEGMENT_BYTES)
    say("ready")
    return house


def reopen(house: House) -> None:
    """As a start on a directory that is there already."""
    house.app.close()
    app.prepare(house.settings)
    house.app = app.build(house.settings, slot="api-0", clock=house.clock)


def main(directory: Path, operations: int, seed: int, mutant: str = "") -> None:
    if mutant:
        MUTANTS[mutant]()
    sqlite.CHECKPOINT_PAGES = CHECKPOINT_PAGES
    clock, chance = TurnedClock(time.time_ns() // 1_000_000), random.Random(seed)
    with pytest.MonkeyPatch.context() as patch:
        turn_botocore(patch, clock)
        house = build(directory, clock)
        house.numbers = numbers = Numbers()
        hands = Hands(house, chance)
        for number in range(1, operations + 1):
            hands.one()
            say(str(numbers.used))
            clock.turn(ms=chance.choice((10, 200, 700, 1_500)))
            if chance.random() < 0.2:
                house.app.tick()
            if number % max(operations // (RESTARTS + 1), 1) == 0:
                reopen(house)
        reseal(house)
        house.close()
    say("closed")


def reseal(house: House) -> None:
    """A second seal, then the first one gone: the keyring file is replaced twice."""
    new = house.settings.__class__(data=house.settings.data, seal_file=str(house.settings.data / "seal.new"))
    seals.add(house.settings, new)
    say("seal added")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), *sys.argv[4:])
