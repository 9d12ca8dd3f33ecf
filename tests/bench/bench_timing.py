"""P15 as timing: whether the time of a refusal tells what its text does not. Pairs in random order, in this process.

python -m tests.bench.bench_timing [--pairs N] [--seed N] [--postgres] [--only TEXT]

Of each pair the difference is taken. Its median stands with an interval of 95 % (bootstrap: 2,000 samples of the pairs), and with the
share of pairs in which the second one took longer (sign test: p is how often a fair coin would be so far from the middle). The t-test is
wrong for such data: a pause of the machine is worth a thousand differences. `A/A` is the same thing twice: what this machine shows of nothing.

Through the pipeline: everything but HTTP, the record of the trail included. `core`: the signature alone.
"""

import argparse
import gc
import itertools
import json
import math
import random
import statistics
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import botocore.auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from geumgo.access import signature
from geumgo.errors import InvalidSignature
from geumgo.message import Request
from geumgo.sealing.keyed import keyed
from tests.house import House, Key
from tests.storage.postgres_server import private_server

HOST = "geumgo.test"
NAMES = 64
SAMPLES = 2_000
WARM = 300

Act = Callable[[], object]
"""One side of a pair: what is timed, made ready."""


class RealTime:
    """The clock of this machine, which a house takes for one that is turned."""

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000


def request(key: Key, service: str, target: str, params: dict[str, Any], *, number: int) -> Request:
    """A signed request that nobody has sent before."""
    body = json.dumps(params).encode()
    version = "1.1" if service in ("secretsmanager", "ssm", "kms") else "1.0"
    headers = {
        "Content-Type": f"application/x-amz-json-{version}",
        "X-Amz-Target": target,
        "User-Agent": f"bench/{number}",
    }
    made = AWSRequest("POST", f"http://{HOST}/", headers, body)
    botocore.auth.SigV4Auth(Credentials(key.identity, key.secret), service, "us-east-1").add_auth(made)
    pairs = [(b"host", HOST.encode()), *((n.lower().encode(), v.encode()) for n, v in made.headers.items())]
    return Request("POST", b"/", tuple(pairs), body, "127.0.0.1", False, f"r-{number}", time.time_ns() // 1_000_000)


def with_signature(made: Request, signed: str) -> Request:
    """The same request with another signature."""
    headers = tuple(
        (name, value[: value.rindex(b"=") + 1] + signed.encode() if name == b"authorization" else value)
        for name, value in made.headers
    )
    return Request(made.method, made.target, headers, made.body, made.peer, made.secure, made.id, made.received_at_ms)


def signature_of(made: Request) -> str:
    value = dict(made.headers)[b"authorization"]
    return value[value.rindex(b"=") + 1 :].decode()


# -- figures -----------------------------------------------------------------------------------------------------------


def pairs(first: Callable[[], Act], second: Callable[[], Act], count: int, chance: random.Random) -> list[float]:
    """How much longer the second one took in each pair (microseconds)."""
    found = []
    for number in range(count + WARM):
        took = [0, 0]
        for side in chance.sample((0, 1), 2):
            act = (first, second)[side]()
            began = time.perf_counter_ns()
            act()
            took[side] = time.perf_counter_ns() - began
        if number >= WARM:
            found.append((took[1] - took[0]) / 1_000)
    return found


def said(name: str, differences: list[float], chance: random.Random) -> str:
    median = statistics.median(differences)
    low, high = interval(differences, chance)
    longer = sum(each > 0 for each in differences) / len(differences)
    return f"{name:<58} {median:>8.2f}  [{low:>7.2f}, {high:>7.2f}]  {longer:>6.1%}  p={sign_test(differences):.3f}"


def interval(differences: list[float], chance: random.Random) -> tuple[float, float]:
    """Of the median, 95 %. The median of a sample is the value at a place of the order, so the place alone need be drawn."""
    ordered, count = sorted(differences), len(differences)
    places = sorted(
        min(max(round(chance.gauss(count / 2, math.sqrt(count) / 2)), 0), count - 1) for _ in range(SAMPLES)
    )
    return ordered[places[SAMPLES // 40]], ordered[places[-SAMPLES // 40]]


def sign_test(differences: list[float]) -> float:
    signs = [each > 0 for each in differences if each]
    if not signs:
        return 1.0
    off = abs(sum(signs) - len(signs) / 2) / (math.sqrt(len(signs)) / 2)
    return math.erfc(off / math.sqrt(2))


# -- what is asked -----------------------------------------------------------------------------------------------------


class Bench:
    def __init__(self, place: Path, seed: int, database: str) -> None:
        self.chance = random.Random(seed)
        self.house = House.build(place, RealTime(), database=database)  # type: ignore[arg-type]
        self.numbers = itertools.count()
        self.names = {kind: [f"{kind}-{number:04}" for number in range(NAMES)] for kind in ("here", "gone")}
        secrets, ssm, kms = (self.house.client(each) for each in ("secretsmanager", "ssm", "kms"))
        for name in self.names["here"]:
            secrets.create_secret(Name=name, SecretString="x")
            ssm.put_parameter(Name=f"/{name}", Value="x", Type="String")
        self.names["key here"] = [kms.create_key()["KeyMetadata"]["KeyId"] for _ in range(NAMES)]
        self.names["key gone"] = [str(uuid.UUID(int=self.chance.getrandbits(128), version=4)) for _ in range(NAMES)]
        self.nobody = self.house.user("stranger")
        self.unknown = Key("AKIA" + "Q" * 16, self.nobody.secret)

    def through(self, make: Callable[[int], Request]) -> Act:
        made = make(next(self.numbers))
        return lambda: self.house.app.pipeline.handle_batch([made])

    def named(self, service: str, target: str, member: str, kind: str, prefix: str = "") -> Callable[[], Act]:
        """A caller who may do nothing asks for a thing of that kind; for others everything may be kept that can be."""

        def act() -> Act:
            name = prefix + self.chance.choice(self.names[kind])
            return self.through(lambda number: request(self.nobody, service, target, {member: name}, number=number))

        return act

    def keys(self, key: Key) -> Callable[[], Act]:
        """Signed with another secret than that of the key, if it has one."""

        def act() -> Act:
            wrong = Key(key.identity, "w" * 40)
            target = "secretsmanager.GetSecretValue"
            return self.through(
                lambda number: request(wrong, "secretsmanager", target, {"SecretId": "here-0000"}, number=number)
            )

        return act

    def prefix(self, right: int) -> Callable[[], Act]:
        """A signature whose first characters are right, so many of them, and none of the others."""

        def act() -> Act:
            target = "secretsmanager.GetSecretValue"

            def make(number: int) -> Request:
                made = request(self.nobody, "secretsmanager", target, {"SecretId": "here-0000"}, number=number)
                return with_signature(made, spoiled(signature_of(made), right))

            return self.through(make)

        return act

    def core(self, right: int) -> Callable[[], Act]:
        """The same, of the check alone."""

        def act() -> Act:
            made = request(
                self.nobody, "secretsmanager", "secretsmanager.GetSecretValue", {}, number=next(self.numbers)
            )
            made = with_signature(made, spoiled(signature_of(made), right))
            claim = signature.read_claim(made)
            assert claim is not None
            mac = keyed(b"k" * 32)
            return lambda: self._checked(made, claim, mac)

        return act

    def _checked(self, made: Request, claim: Any, mac: Any) -> None:
        try:
            signature.verify_in_scope(made, claim, mac, now_ms=made.received_at_ms)
        except InvalidSignature:
            return
        raise AssertionError("a spoiled signature was taken")


def spoiled(right: str, kept: int) -> str:
    return right[:kept] + "".join("0" if each != "0" else "1" for each in right[kept:])


ASKED: tuple[tuple[str, str, str, str, str], ...] = (
    ("GetSecretValue", "secretsmanager", "secretsmanager.GetSecretValue", "SecretId", ""),
    ("DescribeSecret", "secretsmanager", "secretsmanager.DescribeSecret", "SecretId", ""),
    ("PutSecretValue", "secretsmanager", "secretsmanager.PutSecretValue", "SecretId", ""),
    ("GetParameter", "ssm", "AmazonSSM.GetParameter", "Name", "/"),
    ("DeleteParameter", "ssm", "AmazonSSM.DeleteParameter", "Name", "/"),
    ("DescribeKey", "kms", "TrentService.DescribeKey", "KeyId", ""),
)


def parts(bench: Bench) -> Iterator[tuple[str, Callable[[], Act], Callable[[], Act]]]:
    known = bench.keys(bench.nobody)
    yield "A/A: a known key id, twice", known, known
    yield "key id: known, unknown", known, bench.keys(bench.unknown)
    yield "A/A: no character of the signature right, twice", bench.prefix(0), bench.prefix(0)
    for right in (1, 8, 16, 32, 48, 63):
        yield f"signature: 0 characters right, {right}", bench.prefix(0), bench.prefix(right)
    yield "A/A: core, 0 characters right, twice", bench.core(0), bench.core(0)
    for right in (1, 16, 32, 63):
        yield f"core: 0 characters right, {right}", bench.core(0), bench.core(right)
    for name, service, target, member, prefix in ASKED:
        kinds = ("key here", "key gone") if service == "kms" else ("here", "gone")
        here, gone = (bench.named(service, target, member, kind, prefix) for kind in kinds)
        yield f"A/A: {name} of what is there, twice", here, here
        yield f"{name} without permission: there, not there", here, gone


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=5_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help="the parts whose name has this in it")
    parser.add_argument("--postgres", action="store_true", help="on a PostgreSQL of its own")
    chosen = parser.parse_args()
    with ExitStack() as stack:
        place = stack.enter_context(tempfile.TemporaryDirectory())
        database = ""
        if chosen.postgres:
            database = stack.enter_context(stack.enter_context(private_server()).database())
        bench = Bench(Path(place), chosen.seed, database)
        print(
            f"{chosen.pairs} pairs each, seed {chosen.seed}; microseconds: median of (second - first), 95 %, second longer, sign test"
        )
        gc.disable()
        for name, first, second in parts(bench):
            if chosen.only in name:
                print(said(name, pairs(first, second, chosen.pairs, bench.chance), bench.chance), flush=True)
                gc.collect()
        bench.house.close()


if __name__ == "__main__":
    main()
