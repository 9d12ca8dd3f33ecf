"""P21: with any member of any operation of any service wrong in any way, in every protocol, the answer is a refusal that the model knows, or
what was asked for; never a fault of ours, never after two seconds, and the next request is served.

    BAD_REQUESTS=200000 pytest -s tests/promises/test_every_member.py
    BAD_REQUESTS=200000 BAD_SERVICES="rds sts" pytest -s tests/promises/test_every_member.py   # as many to these two as in a run of all
"""

import json
import os
import random
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import botocore.session
import cbor2
import pytest
import structlog.testing
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

import geumgo.protocol.json as json_codec
from geumgo import errors
from geumgo.message import Answer
from geumgo.protocol import models
from geumgo.protocol.models import OWN
from geumgo.protocol.shapes import Family, OperationModel, ServiceModel
from tests.house import ENDPOINT, House
from tests.promises import malformed
from tests.promises.reached import reaching
from tests.promises.test_fuzz import Maker

SEED = int(os.environ.get("SEED", "20261130"))
REQUESTS = int(os.environ.get("BAD_REQUESTS", "3000"))  # over all services
MOST_SECONDS = 2.0
SERVICES = (
    "cloudtrail", "cloudwatch", "config", "ecs", "events", "geumgo", "iam", "kms", "lambda", "rds", "redshift", "secretsmanager", "ssm", "sts",
)  # fmt: skip
ASKED = os.environ.get("BAD_SERVICES", "").split() or SERVICES
ASKS_FOR_A_PASSWORD = {"geumgo"}  # its one operation: no honest request is made up
BROKEN_SHARE = 0.15  # of the requests have a body that is no body of their protocol


def front_ends(kind: type[errors.ServiceError] = errors.ServiceError) -> Iterator[str]:
    """The names of the refusals that no service has: those of the front end."""
    for each in kind.__subclasses__():
        if each.__module__ == errors.__name__:
            yield each.code
            yield each.query_code or each.code
            yield from front_ends(each)


OURS = {errors.InternalFailure.code, errors.InternalFailure.query_code, errors.ServiceUnavailable.code}
COMMON = {"InvalidParameterCombination", "InvalidParameterValue"}
"""Source: "Common errors" of the query services' API references (RDS, Redshift): errors of all operations, which their models leave out."""
FRONT = frozenset(front_ends()) - OURS


def broken(body: bytes, chance: random.Random) -> bytes:
    """`body` as nobody writes it who speaks its protocol."""
    at = chance.randrange(len(body) + 1)
    ways: list[Callable[[], bytes]] = [
        lambda: body[:at],
        lambda: body[:at] + bytes([chance.randrange(256)]) + body[at + 1 :],
        lambda: body + body,
        lambda: body[:at] + chance.randbytes(3) + body[at:],
        lambda: chance.randbytes(chance.randrange(1, 60)),
        lambda: b"\xef\xbb\xbf" + body,
        lambda: b"[" * chance.choice((33, 5_000, 100_000)),
        lambda: b'{"a":' * 5_000 + b"1" + b"}" * 5_000,
        lambda: b'{"a":' + b"9" * chance.choice((21, 5_000)) + b"}",
        lambda: body.replace(b"}", b',"a":1,"a":2}', 1),
        lambda: body.replace(b":", b": NaN, 1:", 1),
        lambda: b'{"a":' + chance.choice((b"1e999", b"-Infinity", b"01", b"1.", b".5", b"+1", b"0x1")) + b"}",
        lambda: b'{"\\ud800":"\\udfff"}',
        lambda: b'"' + b'\\"' * 50_000,
        lambda: b"\x9f" * chance.choice((33, 10_000)),
        lambda: b"\xbf" + b"\x61a\x01" * 2 + b"\xff",
        lambda: b"\xdb" + b"\xff" * 8 + b"\xa0",
        lambda: b"\x5b\x7f" + b"\xff" * 7,
        lambda: b"&".join(b"a%d=b" % number for number in range(1_001)),
        lambda: b"Action=" + b"a." * 5_000 + b"=1",
        lambda: b"%" + body,
        lambda: body.replace(b"=", b"=%zz", 1),
    ]
    return chance.choice(ways)()


def code_of(answer: Answer) -> str:
    """The name of a refusal, in whatever protocol it came."""
    headers = {name.lower(): value for name, value in answer.headers}
    if b"x-amzn-errortype" in headers:
        return headers[b"x-amzn-errortype"].decode()
    kind = headers[b"content-type"]
    if b"xml" in kind:
        found = re.search(rb"<Code>([^<]*)</Code>", answer.body)
        return found[1].decode() if found else ""
    told = cbor2.loads(answer.body) if b"cbor" in kind else json.loads(answer.body)
    return str(told.get("__type", ""))


@dataclass
class Seen:
    """What came of the requests to one service."""

    statuses: Counter[int] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    slowest: float = 0.0
    slowest_was: str = ""


class Sender:
    """Sends requests to one service of a house, and looks at what they are answered."""

    def __init__(self, house: House, service: str) -> None:
        self.house, self.name = house, service
        self.model: ServiceModel = models.load(service)
        common = COMMON if "query" in self.model.protocols else set()
        self.known = FRONT | common | models.errors_of(service) | {error.code for error in self.model.errors.values()}
        self.signer = SigV4Auth(
            Credentials(house.admin.identity, house.admin.secret), self.model.signing_name, "us-east-1"
        )
        self.seen = Seen()

    def send(self, operation: OperationModel, family: Family, sent: malformed.Spelled, what: str) -> Answer:
        request = AWSRequest(
            sent.method, f"{ENDPOINT}{sent.target}", data=sent.body, headers={**sent.headers, "Host": "geumgo.test"}
        )
        self.signer.add_auth(request)
        pairs = [(name.encode(), str(value).encode()) for name, value in request.headers.items()]
        with structlog.testing.capture_logs() as logs:
            started = time.thread_time()
            try:
                answer = self.house.send(sent.method, sent.target.encode(), pairs, sent.body)
            except Exception as death:  # noqa: BLE001  what no request may do: it would end the process
                self.seen.wrong.append(f"{operation.name} ({family}) {what}: {death!r}")
                return Answer(500, (), b"")
            took = time.thread_time() - started
        told = f"{operation.name} ({family}) {what}: {answer.status} {answer.body[:300]!r}"
        if took > self.seen.slowest:
            self.seen.slowest, self.seen.slowest_was = took, told
        self.seen.statuses[answer.status] += 1
        loud = [each for each in logs if each["log_level"] in ("error", "critical")]
        if answer.status >= 500 or loud or took > MOST_SECONDS:
            self.seen.wrong.append(f"{told} after {took:.1f} s {loud}")
        elif answer.status >= 400 and code_of(answer) not in self.known:
            self.seen.wrong.append(f"{told}: the model does not know it")
        return answer


def bombard(house: House, service: str, requests: int, told: Callable[[], None] = lambda: None) -> Seen:
    """`requests` requests to it of which nearly all are wrong, one after another through all of its operations.

    `told` hears of each that was answered as it should be.
    """
    sender = Sender(house, service)
    chance = random.Random(f"{SEED} {service}")
    maker = Maker(SEED)
    described = _described(service)
    operations = [sender.model.operations[name] for name in house.app.rooms[service].operations]
    left: dict[str, list[malformed.Bent]] = {}
    for number in range(requests):
        operation = operations[number % len(operations)]
        family = chance.choice(sender.model.protocols)
        base = maker.honest(described.operation_model(operation.name))
        if number % 7 == 0:
            bent = malformed.Bent(base, "honest")
        else:
            waiting = left.get(operation.name)
            if not waiting:
                waiting = left[operation.name] = list(malformed.bends(operation, base))
                chance.shuffle(waiting)
            bent = waiting.pop()
        spelled = malformed.spell(sender.model, operation, family, bent.params)
        if chance.random() < BROKEN_SHARE:
            spelled = spelled._replace(body=broken(spelled.body, chance))
            bent = bent._replace(what=f"{bent.what}, broken {spelled.body[:60]!r}")
        maker.learn(sender.send(operation, family, spelled, bent.what).body)
        if not sender.seen.wrong:
            told()
    return sender.seen


def _described(service: str) -> Any:
    session = botocore.session.Session()
    session.get_component("data_loader").search_paths.append(str(OWN))
    return session.get_service_model(service)


def shares() -> dict[str, int]:
    """How many requests each service has: as many as it has members, but not fewer than some."""
    weights = {}
    for service in SERVICES:
        operations = models.load(service).operations.values()
        weights[service] = 20 + sum(len(operation.input.members) for operation in operations if operation.input)
    return {service: 1 + REQUESTS * weight // sum(weights.values()) for service, weight in weights.items()}


def test_every_room_is_asked(house: House) -> None:
    assert set(SERVICES) == set(house.app.rooms)
    assert {*ASKED} <= {*SERVICES}


@pytest.mark.parametrize("service", ASKED)
def test_no_member_that_is_wrong_is_a_fault_of_ours(house: House, service: str) -> None:
    with reaching("P21", SEED) as so_far:
        seen = bombard(house, service, shares()[service], lambda: so_far.add(**{f"requests to {service}": 1}))
        so_far.took(slowest_CPU=seen.slowest)
        print(
            f"\n{service}: {sum(seen.statuses.values())} requests, {dict(seen.statuses)}, slowest {seen.slowest:.3f} s: {seen.slowest_was[:160]}"
        )
        assert not seen.wrong, "\n".join(seen.wrong[:20])
        served = sum(count for status, count in seen.statuses.items() if status < 300)
        assert served or service in ASKS_FOR_A_PASSWORD, "nothing was served"
        assert seen.statuses[400] > 0


def test_a_server_that_reads_json_as_it_comes_is_caught(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_codec, "read", lambda body, _: json.loads(body))
    assert bombard(house, "secretsmanager", 400).wrong
