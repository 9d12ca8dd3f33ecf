"""Records that are encoded by form are those that are encoded one by one, byte for byte."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geumgo.audit import record
from geumgo.audit.form import Forms, is_record, put_together
from geumgo.audit.line import encode_record
from geumgo.context import Caller, Session

USER = Caller("IAMUser", "111122223333", "arn:aws:iam::111122223333:user/ann", "AIDA1", "ann", "AKIA1", {"team": "a"})
SESSION = Session("arn:aws:iam::111122223333:role/app", "AROA1", "app", "s", 1_790_000_000_000, 1_790_000_900_000)
ROLE = Caller("AssumedRole", "111122223333", "arn:aws:sts::111122223333:assumed-role/app/s", "AROA1:s", session=SESSION)
CALLERS = [USER, ROLE, replace(USER, via=("secretsmanager.amazonaws.com",))]
KEY = "arn:aws:kms:us-east-1:111122223333:key/1"


def both(forms: Forms, **changed: Any) -> tuple[bytes | None, bytes]:
    """A record by form, and as any record is encoded."""
    said: dict[str, Any] = {
        "caller": USER,
        "claimed_key": "AKIA1",
        "service": "kms.amazonaws.com",
        "name": "Decrypt",
        "region": "us-east-1",
        "source_ip": "192.0.2.7",
        "user_agent": b"Boto3/1.44",
        "request_parameters": {"EncryptionContext": {"SecretARN": "arn"}, "SecretId": "app/db"},
        "response_elements": {},
        "request_id": "0d6aa2ee-5f63-4ff9-9a7c-6d1c8b2b1f10",
        "at_ms": 1_790_000_000_000,
        "read_only": True,
        "recipient": "",
        "touched": ((KEY, "111122223333"),),
        "resource_type": "AWS::KMS::Key",
        **changed,
    }
    known = {name: value for name, value in said.items() if name not in ("touched", "resource_type")}
    plain = record.api_call(
        **{**known, "user_agent": said["user_agent"].decode("utf-8", "replace")},
        resources=[record.resource(arn, account, "AWS::KMS::Key") for arn, account in said["touched"]],
        error_code="",
        error_message="",
        secure=True,
    )
    named = ("caller", "claimed_key", "service", "name", "region", "source_ip", "user_agent", "recipient")
    form = forms.form(*[said[name] for name in named], read_only=said["read_only"])
    spoken = forms.said(
        *[said[name] for name in ("request_parameters", "response_elements", "touched", "resource_type")]
    )
    made = None if spoken is None else put_together(form, spoken, said["request_id"], said["at_ms"])
    return made if made is not None and is_record(made) else None, encode_record(plain)


@pytest.mark.parametrize("caller", CALLERS)
@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"touched": ()},
        {"response_elements": {"ARN": "arn", "VersionId": "v"}},
        {"request_parameters": {}},
        {"recipient": "444455556666"},
        {"user_agent": b'"quoted\\ \n'},
        {"read_only": False},
        {"at_ms": 0},
    ],
)
def test_a_record_by_form_is_the_same(caller, changed):
    forms = Forms()
    for _ in range(2):
        formed, plain = both(forms, caller=caller, **changed)
        assert formed == plain


@given(st.text(), st.text(), st.binary(), st.text(), st.sampled_from(CALLERS))
def test_whatever_a_caller_sends_it_is_the_same_or_has_no_form(secret_id, request_id, agent, claimed, caller):
    changed = {"request_parameters": {"SecretId": secret_id}, "request_id": request_id, "user_agent": agent}
    formed, plain = both(Forms(), caller=caller, claimed_key=claimed, **changed)
    assert formed is None or formed == plain


def test_what_is_unusual_has_no_form():
    assert both(Forms(), request_parameters={"SecretId": "ä"})[0] is None
    assert both(Forms(), request_parameters={"SecretId": "\x7f"})[0] is None
    assert both(Forms(), request_parameters={"SecretId": "x" * 5_000})[0] is None


def test_a_form_is_of_one_caller():
    forms = Forms()
    for caller in CALLERS:
        formed, plain = both(forms, caller=caller)
        assert formed == plain


def test_what_comes_again_is_encoded_once_and_never_mistaken_for_another():
    forms = Forms(most=2)
    asked = [
        {"A": {"b": "c"}},
        {"A": "b"},
        {"A": {"b": "c", "d": "e"}},
        {"A": {"d": "e", "b": "c"}},
        {"A": ["b"]},
        {"A": 1},
        {"A": True},
    ]
    for _ in range(2):
        for each in asked:
            for touched in ((), ((KEY, "111122223333"),), ((KEY, "444455556666"),)):
                formed, plain = both(forms, request_parameters=each, touched=touched)
                assert formed == plain
