"""Whatever an administrator sends along the models, the answer is his own mistake or what he asked for, never a fault of ours."""

import json
import random
import re
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import botocore.session
import pytest
import structlog.testing
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.model import OperationModel, Shape
from botocore.serialize import create_serializer

from geumgo.message import Answer
from tests.house import ENDPOINT, House

SEED = 20261124
REQUESTS = 1_700  # for each service
SERVED_AT_LEAST = 0.08  # of the requests: a test that is only ever refused shows nothing

TEXTS = (
    "", " ", ".", "..", "/", "a/../b", "arn:", "arn:aws:iam::", "arn:aws:secretsmanager:us-east-1:1:secret:x", "*", "?", "-", "db-aaaaaa",
    "${aws:username}", "%00", "%", "+", "\t", "\n", "a\r\nb", "\x00", "\x01", "\x7f", "\x85", "\u2028", "\u202e", "\ufeff", "\uffff",
    "é", "İ", "ß", "𝔘", "🔑" * 30, "a" * 64, "a" * 65, "a" * 513, "A" * 2_048, "b" * 2_049, "'; DROP TABLE secret; --", "<a>&amp;",
    "null", "true", "0", "-1", "1e9", "٣", "{}", "[]", '"',
)  # fmt: skip
NUMBERS = (-(2**31), -1, 0, 1, 2, 6, 7, 30, 31, 100, 900, 3600, 43_200, 129_600, 4096, 2**31 - 1)
NAMES = ("ann", "ben")  # of everything: so that what one request makes the next one finds
MOMENTS = tuple(datetime(year, 1, 2, 3, 4, 5, tzinfo=UTC) for year in (1970, 2000, 2026, 2099, 9999))
ACTIONS = ("secretsmanager:*", "iam:GetUser", "sts:AssumeRole", "*", "kms:Decrypt", "s3:Get*", "nonsense", "")
TOKENS = ("a" * 40, "b" * 40, "11111111-2222-3333-4444-555555555555")
HONEST = {
    "Path": "/", "Url": "https://idp.example.com", "Thumbprint": "a" * 40, "Password": "Str0ng-enough-password!", "Description": "words",
    "ServiceName": "lambda.amazonaws.com", "ActionNames": "iam:GetUser", "SerialNumber": "arn:aws:iam::123456789012:mfa/ann",
    "AuthenticationCode": "123456", "EventPattern": '{"source": ["ann"]}', "Schedule": "rate(5 hours)", "InputPath": "$.detail",
    "Endpoint": "https://idp.example.com/in", "Detail": '{"a": 1}', "InputTemplate": '{"a": <a>}', "EventBusName": "default", "KmsKeyId": "alias/aws/secretsmanager", "VersionStage": "AWSPENDING",
}  # fmt: skip
"""What members whose names hold these words want."""
KINDS = {
    "Policy": ":policy/",
    "Boundary": ":policy/",
    "Role": ":role/",
    "Provider": ":oidc-provider/",
    "Group": ":group/",
    "ConnectionArn": ":connection/",
    "EventSourceArn": ":event-bus/",
    "KeyId": ":key/",
}
OWN = re.compile(r"admin|AKIA", re.IGNORECASE)  # the fuzzer does not saw off the branch that it sits on
FOUND = re.compile(
    rb"arn:aws:[a-z]+:[a-z0-9-]*:\d{12}:[A-Za-z0-9/+=,.@_:-]{1,200}|A[A-Z]{3}[A-Z0-9]{13,17}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
)


class Maker:
    """Makes up parameters along a model: what fits, in every other request with one thing that does not."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.seen: list[str] = []
        self.bend = 0.0  # how likely a value is one that nobody expects

    def params(self, operation: OperationModel) -> dict[str, Any]:
        self.bend = self.random.choice((0.0, 0.0, 0.15, 0.4))
        shape = operation.input_shape
        return {} if shape is None else self._structure(shape, 0)

    def honest(self, operation: OperationModel) -> dict[str, Any]:
        """What fits, with nothing bent; half of the time no more than what must be there."""
        self.bend = 0.0
        shape = operation.input_shape
        made = {} if shape is None else self._structure(shape, 0)
        sparing = shape is not None and self.random.random() < 0.5
        return {name: value for name, value in made.items() if not sparing or name in shape.required_members}

    def learn(self, body: bytes) -> None:
        """Remember what an answer names."""
        found = [text.decode() for text in FOUND.findall(body)]
        self.seen = (self.seen + [text for text in found if not OWN.search(text)])[-300:]

    def _structure(self, shape: Shape, depth: int) -> dict[str, Any]:
        made = {}
        for name, member in shape.members.items():
            wanted = 1 - self.bend / 4 if name in shape.required_members or depth else 0.3
            if (
                self.random.random() < wanted and name not in ("Marker", "NextToken")
            ) or self.random.random() < self.bend / 4:
                made[name] = self._value(name, member, depth + 1)
        return made

    def _value(self, name: str, shape: Shape, depth: int) -> Any:
        kinds: dict[str, Callable[[], Any]] = {
            "structure": lambda: self._structure(shape, depth),
            "list": lambda: [
                self._value(name, shape.member, depth) for _ in range(self.random.choice((1, 1, 1, 2, 0)))
            ],
            "map": lambda: {self._text(name, shape.key): self._value(name, shape.value, depth) for _ in range(2)},
            "integer": lambda: self._number(shape),
            "long": lambda: self._number(shape),
            "double": lambda: float(self._number(shape)),
            "float": lambda: float(self._number(shape)),
            "boolean": lambda: self.random.random() < 0.5,
            "timestamp": lambda: self.random.choice(MOMENTS),
            "blob": lambda: self.random.randbytes(self.random.choice((1, 32, 1_000, 0))),
            "string": lambda: self._text(name, shape),
        }
        return kinds[shape.type_name]()

    def _number(self, shape: Shape) -> int:
        if self.random.random() < self.bend:
            return self.random.choice(NUMBERS)
        low = int(shape.metadata.get("min", 1))
        return self.random.randint(low, int(shape.metadata.get("max", low + 30)))

    def _text(self, name: str, shape: Shape) -> str:
        if self.random.random() < self.bend:
            return self._bent(self.random.choice([*self.seen, *TEXTS, *NAMES]))
        if getattr(shape, "enum", None):
            return str(self.random.choice(shape.enum))
        if "Arn" in name or "ARN" in name or name.endswith("Boundary") or name in ("KeyId", "TargetKeyId"):
            return self._arn(name)
        if name == "Policy" or name.endswith(("Document", "PolicyInputList")) or name == "ResourcePolicy":
            return self._document("Assume" in name or "Resource" in name)
        for part, text in HONEST.items():
            if part in name:
                return text
        if "Token" in name or name in ("VersionId", "MoveToVersionId", "RemoveFromVersionId"):
            return self.random.choice(TOKENS)
        return self.random.choice(NAMES).ljust(int(shape.metadata.get("min", 1)), "x")

    def _arn(self, name: str) -> str:
        """An ARN that was seen, of the kind that the member wants if its name says so."""
        kind = next((kind for part, kind in KINDS.items() if part in name), ":")
        fitting = [text for text in self.seen if text.startswith("arn:") and kind in text]
        return self.random.choice(fitting or ["arn:aws:iam::aws:policy/ReadOnlyAccess"])

    def _bent(self, text: str) -> str:
        """`text`, one time in four with something changed."""
        place = self.random.randrange(len(text) + 1)
        bends = (text[:place], text[:place] + self.random.choice(TEXTS) + text[place:], text.swapcase())
        return self.random.choice(bends) if self.random.random() < 0.25 else text

    def _document(self, with_principal: bool) -> str:
        odd = self.random.random() < self.bend

        def choose(*fitting: Any, otherwise: tuple[Any, ...]) -> Any:
            return self.random.choice(otherwise if odd else fitting)

        trusted = ({"Service": "lambda.amazonaws.com"}, {"AWS": "*"})
        who = choose(*trusted, otherwise=("*", {"AWS": []}, {"AWS": "123456789012"}, 7))
        on = choose("*", otherwise=("arn:aws:s3:::x", "", []))
        fitting = ("sts:AssumeRole",) if with_principal else ("secretsmanager:GetSecretValue",)
        statement: dict[str, Any] = {
            "Effect": choose("Allow", "Deny", otherwise=("allow", None)),
            "Action": choose(*fitting, otherwise=ACTIONS),
            **({"Principal": who} if with_principal else {"Resource": on}),
        }
        if self.random.random() < 0.3:
            operator = choose("StringLike", "StringNotEquals", otherwise=("NumericLessThan", "IpAddress", "Null", "x"))
            key = choose("aws:PrincipalTag/a", "secretsmanager:SecretId", otherwise=("aws:SourceIp", ""))
            statement["Condition"] = {operator: {key: choose("a*", otherwise=TEXTS)}}
        text = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        return text[: self.random.randrange(len(text))] if odd and self.random.random() < 0.3 else text


def send(house: House, service: str, operation: OperationModel, params: dict[str, Any]) -> Answer:
    """The request as a client would send it that checks nothing first."""
    serializer = create_serializer(operation.service_model.protocol, include_validation=False)
    made = serializer.serialize_to_request(params, operation)
    headers = {**made["headers"], "Host": "geumgo.test"}
    body = made["body"]
    if isinstance(body, dict):
        request = AWSRequest("POST", f"{ENDPOINT}/", data=body, headers=headers)
        body = request.prepare().body
    sent = body.encode() if isinstance(body, str) else body
    request = AWSRequest("POST", f"{ENDPOINT}/", data=sent, headers=headers)
    SigV4Auth(Credentials(house.admin.identity, house.admin.secret), service, "us-east-1").add_auth(request)
    pairs = [
        (name.encode(), value if isinstance(value, bytes) else str(value).encode())
        for name, value in request.headers.items()
    ]
    return house.send("POST", b"/", pairs, sent)


@pytest.mark.parametrize("service", ["secretsmanager", "iam", "sts", "events", "ssm", "ecs", "redshift"])
def test_no_request_along_the_model_is_a_fault_of_ours(house: House, service: str):
    model = botocore.session.Session().get_service_model(service)
    maker = Maker(SEED)
    served = Counter[bool]()
    names = [name for name in model.operation_names if name in house.app.rooms[service].operations]
    with structlog.testing.capture_logs() as logs:
        for number in range(REQUESTS):
            operation = model.operation_model(names[number % len(names)])
            params = maker.params(operation)
            answer = send(house, service, operation, params)
            wrong = [each for each in logs if each["log_level"] in ("error", "critical")]
            assert answer.status < 500, (number, operation.name, params, answer.body, wrong)
            assert not wrong, (number, operation.name, params, answer.body, wrong)
            served[answer.status == 200] += 1
            maker.learn(answer.body)
    assert served[True] >= SERVED_AT_LEAST * REQUESTS, served
