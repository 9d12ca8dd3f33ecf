"""What the proofs of the protocol share: the services they cover, botocore's view of them, botocore's requests."""

import random
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any
from urllib.parse import quote, urlencode

import botocore.loaders
import botocore.model
import botocore.parsers
import botocore.serialize
from botocore.compat import HTTPHeaders

from geumgo.message import Answer, Request
from geumgo.protocol import Family, Member, Shape

SERVED = [
    "secretsmanager",
    "ssm",
    "kms",
    "iam",
    "sts",
    "lambda",
    "events",
    "config",
    "cloudtrail",
    "rds",
    "redshift",
    "docdb",
    "cloudformation",
    "ecs",
    "cloudwatch",
]
BOTOCORE_NAMES = {"json": "json", "query": "query", "rest-json": "rest-json", "cbor": "smithy-rpc-v2-cbor"}


@cache
def botocore_model(service: str) -> botocore.model.ServiceModel:
    description = botocore.loaders.Loader().load_service_model(service, "service-2")
    return botocore.model.ServiceModel(description, service)


@cache
def serializer(family: Family) -> Any:
    return botocore.serialize.create_serializer(BOTOCORE_NAMES[family], include_validation=False)


def request(
    method: str = "POST", target: bytes = b"/", headers: dict[str, str] | None = None, body: bytes = b""
) -> Request:
    """A request as the edge hands it over."""
    pairs = tuple((name.lower().encode(), value.encode()) for name, value in (headers or {}).items())
    return Request(method, target, pairs, body, "127.0.0.1", secure=False, id="the-request-id", received_at_ms=0)


def serialized(family: Family, operation: botocore.model.OperationModel, params: dict[str, Any]) -> Request:
    """What botocore would send for `params`."""
    made = serializer(family).serialize_to_request(params, operation)
    body = made["body"]
    if isinstance(body, dict):
        body = urlencode(body).encode()
    path, _, fixed = made["url_path"].partition("?")
    fields = urlencode(made["query_string"] or {}, doseq=True, quote_via=quote)
    tail = "&".join(part for part in (fixed, fields) if part)
    headers = {name: str(value) for name, value in made["headers"].items()}
    return request(made["method"], f"{path}{'?' if tail else ''}{tail}".encode(), headers, body)


def parsed(family: Family, answer: Answer, shape: Any) -> dict[str, Any]:
    """What botocore reads out of `answer`."""
    # botocore decodes a payload that is bytes as text; what its HTTP client hands over is a stream, and not bytes.
    body = bytearray(answer.body) if shape is not None and "payload" in shape.serialization else answer.body
    headers = HTTPHeaders.from_pairs([(name.decode(), value.decode()) for name, value in answer.headers])
    response = {"status_code": answer.status, "headers": headers, "body": body, "context": {}}
    return botocore.parsers.create_parser(BOTOCORE_NAMES[family]).parse(response, shape)  # type: ignore[no-any-return]


TEXTS = ["", "a", "plain", "with space", "ü–🔑", 'quo"te\\', "<&>'", "a=b&c=%41+", "\t\n", "日本語", "x" * 300, "null"]


class Maker:
    """Makes values of a shape out of a seed. Examples differ, and each member is now and then absent.

    `whole` leaves out what the query protocol cannot carry: structures and maps with nothing in them.
    """

    def __init__(self, seed: str, family: Family, *, whole: bool = False) -> None:
        self.random = random.Random(seed)  # seeded: every run makes the same values
        self.whole = whole
        self.family = family

    def structure(self, shape: Shape, depth: int = 0, share: float = 0.7) -> dict[str, Any]:
        names = list(shape.members)
        if shape.union:
            chosen = [self.random.choice(names)]
        else:
            share = share if depth < 4 else 0.1
            chosen = [name for name in names if name in shape.required or self.random.random() < share]
        made = {}
        for name in chosen:
            member = shape.members[name]
            if depth > 8 and member.shape.kind in ("structure", "list", "map"):
                continue
            value = self.value(member, depth + 1)
            if (self.whole and value == {}) or ((member.flattened or member.location == "querystring") and value == []):
                continue  # there is no way to say so
            made[name] = value
        return made

    def value(self, member: Member, depth: int) -> Any:  # noqa: C901  # one case per kind
        shape = member.shape
        match shape.kind:
            case "structure":
                return self.structure(shape, depth)
            case "list":
                made = [self.value(shape.element, depth + 1) for _ in range(self.random.choice((0, 1, 1, 2)))]
                return [item for item in made if not (self.whole and item == {})]
            case "map":
                key, leads_to = shape.entry
                made_map = {
                    f"k{n}{self.text(key)}": self.value(leads_to, depth + 1)
                    for n in range(self.random.choice((0, 1, 2)))
                }
                return {name: item for name, item in made_map.items() if not (self.whole and item in ({}, []))}
            case "string":
                return self.text(member)
            case "integer" if member.location == "statusCode":
                return self.random.choice((200, 202, 204))
            case "integer":
                return self.random.choice((0, 1, -1, 2**31 - 1, -(2**31), self.random.randrange(10**6)))
            case "long":
                return self.random.choice((0, -1, 2**63 - 1, -(2**63), self.random.randrange(10**12)))
            case "float":
                return self.random.choice((0.0, -1.5, 0.25, 1e10))
            case "double":
                return self.random.choice((0.0, -1.5, 0.1, 1e-300, 1.7e308, float(self.random.randrange(10**9))))
            case "boolean":
                return self.random.random() < 0.5
            case "timestamp":
                return self.moment()
            case "blob":
                return self.random.choice((b"\x00\xff", b"bytes", self.random.randbytes(20)))
        return {"any": ["thing", 1, True]}

    def text(self, member: Member) -> str:
        if member.shape.enum:
            return self.random.choice(member.shape.enum)
        if member.location == "uri":
            return self.random.choice(("name", "a b", "ü/ö", "arn:aws:x:::y", "%41"))
        if member.location == "header":
            return self.random.choice(("plain", "with space", "a;b=c"))
        return self.random.choice(TEXTS)

    def moment(self) -> datetime:
        base = datetime(2025, 11, 6, 13, 21, 8, tzinfo=UTC)
        shift = self.random.choice((0, 0, 1, 999, 500, 123)) if self.family != "query" else self.random.choice((0, 250))
        return base + timedelta(days=self.random.randrange(-9000, 9000), milliseconds=shift)
