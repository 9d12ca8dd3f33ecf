"""Whatever is sent, the answer is a value or a refusal. Nothing else is ever raised, and no reader is fooled by another."""

import json
import math
import subprocess
import sys
from typing import Any
from urllib.parse import urlencode

import cbor2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geumgo.errors import ServiceError
from geumgo.message import Request
from geumgo.protocol import cbor, decode, models, route, validate
from geumgo.protocol import json as codec
from geumgo.protocol.limits import DEFAULT
from tests.protocol.services import Maker, botocore_model, request, serialized

SERVICES = {name: models.load(name) for name in ("secretsmanager", "ssm", "kms", "iam", "lambda", "cloudwatch", "rds")}
JSON_TARGETS = sorted(
    f"{model.target_prefix}.{name}"
    for model in SERVICES.values()
    if "json" in model.protocols
    for name in model.operations
)
CBOR_OPERATIONS = sorted(SERVICES["cloudwatch"].operations)
ACTIONS = sorted(
    (name, model.api_version) for model in SERVICES.values() if "query" in model.protocols for name in model.operations
)
texts = st.text(max_size=12) | st.sampled_from(
    ["Key", "Name", "SecretId", "member", "1", "true", "YQ==", "2025-01-01T00:00:00Z"]
)
names = st.sampled_from(
    sorted({m for s in SERVICES.values() for o in s.operations.values() if o.input for m in o.input.members})
)
scalars = st.none() | st.booleans() | st.integers() | st.floats() | texts
trees = st.recursive(
    scalars,
    lambda inside: st.lists(inside, max_size=4) | st.dictionaries(names | texts, inside, max_size=4),
    max_leaves=20,
)


def ask(sent: Request) -> None:
    try:
        call = route.find(SERVICES, sent, None)
        params = decode(call, sent)
        validate(call.operation, params)
    except ServiceError as refused:
        status = refused.status
    else:
        return
    assert 400 <= status < 500


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(JSON_TARGETS), st.dictionaries(names, trees, max_size=5))
def test_any_json_is_read_or_refused(target: str, body: dict[str, Any]):
    ask(request(headers={"X-Amz-Target": target}, body=json.dumps(body).encode()))


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(CBOR_OPERATIONS), st.dictionaries(names, trees, max_size=5))
def test_any_cbor_is_read_or_refused(operation: str, body: dict[str, Any]):
    path = f"/service/GraniteServiceVersion20100801/operation/{operation}".encode()
    ask(request(target=path, headers={"smithy-protocol": "rpc-v2-cbor"}, body=cbor2.dumps(body)))


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(ACTIONS),
    st.dictionaries(st.lists(names | texts, min_size=1, max_size=5).map(".".join), texts, max_size=8),
)
def test_any_form_is_read_or_refused(action: tuple[str, str], fields: dict[str, str]):
    body = urlencode({"Action": action[0], "Version": action[1]} | fields).encode()
    ask(request(headers={"Content-Type": "application/x-www-form-urlencoded"}, body=body))


@settings(max_examples=500, deadline=None)
@given(
    st.sampled_from(["GET", "POST", "PUT", "DELETE", "", "\x00"]),
    st.binary(max_size=60) | st.binary(max_size=20).map(lambda tail: b"/2015-03-31/functions/" + tail),
    st.lists(
        st.tuples(
            st.sampled_from([b"x-amz-target", b"content-type", b"smithy-protocol", b"x-amz-log-type"]),
            st.binary(max_size=30) | st.sampled_from([b"rpc-v2-cbor", b"application/x-www-form-urlencoded"]),
        ),
        max_size=3,
    ),
    st.binary(max_size=200),
)
def test_any_bytes_at_all_are_read_or_refused(method: str, target: bytes, headers: list[Any], body: bytes):
    sent = Request(method, target, tuple(headers), body, "127.0.0.1", secure=False, id="i", received_at_ms=0)
    route.family(sent)
    ask(sent)


@settings(max_examples=500, deadline=None)
@given(st.binary(max_size=100))
def test_what_our_cbor_reader_reads_a_general_one_reads_alike(body: bytes):
    try:
        ours = cbor.read(body, DEFAULT)
    except ServiceError:
        return
    assert contains_moment(ours) or same(ours, cbor2.loads(body))


def same(ours: Any, theirs: Any) -> bool:
    if theirs is cbor2.undefined:
        return ours is None
    if isinstance(ours, float) and isinstance(theirs, float):
        return ours == theirs or (math.isnan(ours) and math.isnan(theirs))
    if isinstance(ours, dict) and isinstance(theirs, dict):
        return list(ours) == list(theirs) and all(same(ours[key], theirs[key]) for key in ours)
    if isinstance(ours, list) and isinstance(theirs, list):
        return len(ours) == len(theirs) and all(map(same, ours, theirs))
    return type(ours) is type(theirs) and bool(ours == theirs)


def contains_moment(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(contains_moment, value.values()))
    if isinstance(value, list):
        return any(map(contains_moment, value))
    return isinstance(value, cbor.Moment)


json_trees = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**19), 10**19)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
    | st.sampled_from(['"', "\\", "{[,", "\\ud800"]),
    lambda inside: (
        st.lists(inside, max_size=5) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inside)
    ),
    max_leaves=30,
)


@settings(max_examples=400, deadline=None)
@given(json_trees, st.booleans(), st.sampled_from([None, 1]))
def test_honest_json_is_read_as_it_was_written(value: Any, ascii_only: bool, indent: int | None):
    body = json.dumps(value, ensure_ascii=ascii_only, indent=indent).encode()
    assert codec.read(body, DEFAULT) == value


@pytest.mark.parametrize("service", ["secretsmanager", "kms", "ssm"])
def test_a_request_with_one_byte_changed_is_read_or_refused(service: str):
    model = SERVICES[service]
    for operation in list(model.operations.values())[:12]:
        if operation.input is None:
            continue
        params = Maker(f"flip {operation.name}", "json").structure(operation.input)
        sent = serialized("json", botocore_model(service).operation_model(operation.name), params)
        for index in range(0, len(sent.body), 7):
            for byte in (0x00, 0x22, 0x5B, 0x7D, 0xFF):
                changed = sent.body[:index] + bytes([byte]) + sent.body[index + 1 :]
                ask(Request("POST", b"/", sent.headers, changed, "p", secure=False, id="i", received_at_ms=0))


def test_a_process_with_four_services_stays_small():
    program = (
        "from geumgo.protocol import models;"
        "[models.load(name) for name in ('secretsmanager', 'kms', 'iam', 'sts')];"
        "import os; print(int(open('/proc/self/statm').read().split()[1]) * os.sysconf('SC_PAGE_SIZE') // 2**20)"
    )
    mebibytes = int(subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True).stdout)
    assert mebibytes < 50, "the whole worker must stay below 80"
