"""Whatever a caller sends, the answer is a refusal of the model: never a fault of ours."""

import string
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from geumgo.errors import ServiceError
from geumgo.services.kms import ROOM
from tests.services.kms.house import MODEL, Kms

WORDS = ["alias/app", "alias/aws/secretsmanager", "arn:aws:kms:eu-west-1:111122223333:key/", "mrk-", "1234abcd-12ab-34cd-56ef-1234567890ab",
         "AQ==", "AQE=", "W10=", "e30=", "{}", "\0", "\ud800", "", "*"]  # fmt: skip


def texts(shape: Any) -> st.SearchStrategy[str]:
    if shape.enum:
        return st.sampled_from(shape.enum)
    return st.one_of(st.sampled_from(WORDS), st.text(max_size=30), st.text(alphabet=string.printable, max_size=60))


def values(shape: Any, depth: int = 0) -> st.SearchStrategy[Any]:
    kinds = {
        "blob": st.binary(max_size=200),
        "integer": st.integers(-1, 2000),
        "boolean": st.booleans(),
        "timestamp": st.datetimes().map(lambda at: at.astimezone()),
    }
    if shape.kind in kinds:
        return kinds[shape.kind]
    if shape.kind == "list":
        return st.lists(values(shape.member.shape, depth + 1), max_size=3)
    if shape.kind == "map":
        return st.dictionaries(st.text(max_size=8), st.text(max_size=8), max_size=3)
    if shape.kind == "structure":
        needed = {name: values(shape.members[name].shape, depth + 1) for name in shape.required}
        rest = {name: values(m.shape, depth + 1) for name, m in shape.members.items() if name not in shape.required}
        return st.fixed_dictionaries(needed, optional=rest)
    return texts(shape)


@pytest.mark.parametrize("name", sorted(ROOM.operations))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_input_is_a_fault(kms: Kms, name: str, data: st.DataObject) -> None:
    known = kms.sql("SELECT id FROM kms_key LIMIT 1")
    key_id = kms.key() if not known else None
    if key_id is not None:
        kms.ask("CreateAlias", AliasName="alias/app", TargetKeyId=key_id)
    params = data.draw(values(MODEL.operations[name].input))
    for member in ("KeyId", "TargetKeyId", "DestinationKeyId", "SourceKeyId"):
        if member in params and data.draw(st.booleans()):
            params[member] = kms.ask("ListKeys")["Keys"][0]["KeyId"]
    if "KeyPairSpec" in params or "WrappingKeySpec" in params:
        params.pop("WrappingKeySpec", None)
        params.pop("KeyPairSpec", None)
    if params.get("KeySpec", "").startswith("RSA") or params.get("CustomerMasterKeySpec", "").startswith("RSA"):
        params.pop("KeySpec", None)
        params.pop("CustomerMasterKeySpec", None)
    with suppress(ServiceError):
        kms.ask(name, **params)
