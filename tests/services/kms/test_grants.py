from typing import Any

import pytest

from geumgo.context import Caller
from geumgo.sealing import Unsealable
from tests.services.kms.house import ADMIN, EVERYTHING, OTHER, OWN, refused, session, user

ANN, BOB = user("ann"), user("bob")
CONTEXT = {"app": "one", "stage": "live"}


def grant(kms, arn, grantee=ANN.arn, operations=("Encrypt", "Decrypt"), **params):
    return kms.ask("CreateGrant", KeyId=arn, GranteePrincipal=grantee, Operations=list(operations), **params)


def test_a_grant_allows_what_it_names_and_nothing_else(kms_on_each):
    kms = kms_on_each
    arn = kms.key()
    with refused("AccessDeniedException"):
        kms.ask("Encrypt", caller=ANN, KeyId=arn, Plaintext=b"x")
    grant(kms, arn)
    sealed = kms.ask("Encrypt", caller=ANN, KeyId=arn, Plaintext=b"x")["CiphertextBlob"]
    assert kms.ask("Decrypt", caller=ANN, CiphertextBlob=sealed)["Plaintext"] == b"x"
    for caller, name, params in (
        (ANN, "DescribeKey", {}),
        (ANN, "GenerateDataKey", {"KeySpec": "AES_256"}),
        (BOB, "Encrypt", {"Plaintext": b"x"}),
    ):
        with refused("AccessDeniedException"):
            kms.ask(name, caller=caller, KeyId=arn, **params)


def test_an_explicit_deny_beats_a_grant(kms):
    arn = kms.key()
    grant(kms, arn)
    kms.may(ANN, {"Effect": "Deny", "Action": "kms:Encrypt", "Resource": "*"})
    with refused("AccessDeniedException"):
        kms.ask("Encrypt", caller=ANN, KeyId=arn, Plaintext=b"x")


@pytest.mark.parametrize(
    ("constraint", "context", "allowed"),
    [
        ({"EncryptionContextEquals": CONTEXT}, CONTEXT, True),
        ({"EncryptionContextEquals": CONTEXT}, {"app": "one"}, False),
        ({"EncryptionContextEquals": CONTEXT}, CONTEXT | {"more": ""}, False),
        ({"EncryptionContextEquals": CONTEXT}, {}, False),
        ({"EncryptionContextSubset": {"app": "one"}}, CONTEXT, True),
        ({"EncryptionContextSubset": {"app": "one"}}, {"app": "One"}, False),
        ({"EncryptionContextSubset": {"app": "one"}}, {"stage": "live"}, False),
        ({}, CONTEXT, True),
    ],
    ids=str,
)
def test_a_constraint_binds_the_grant_to_an_encryption_context(kms, constraint, context, allowed):
    arn = kms.key()
    grant(kms, arn, Constraints=constraint)
    params = {"KeyId": arn, "Plaintext": b"x", "EncryptionContext": context}
    if allowed:
        kms.ask("Encrypt", caller=ANN, **params)
    else:
        with refused("AccessDeniedException"):
            kms.ask("Encrypt", caller=ANN, **params)


def test_a_grant_to_a_role_is_for_every_session_of_it(kms):
    arn = kms.key()
    grant(kms, arn, grantee=f"arn:aws:iam::{OWN}:role/app")
    kms.ask("Encrypt", caller=session("app"), KeyId=arn, Plaintext=b"x")
    with refused("AccessDeniedException"):
        kms.ask("Encrypt", caller=session("other"), KeyId=arn, Plaintext=b"x")


def test_a_grant_crosses_accounts(kms):
    arn, far = kms.key(), user("far", OTHER)
    grant(kms, arn, grantee=far.arn)
    kms.may(far, EVERYTHING)
    kms.ask("Encrypt", caller=far, KeyId=arn, Plaintext=b"x")


def test_a_grant_is_for_one_key(kms):
    one, two = kms.key(), kms.key()
    grant(kms, one)
    with refused("AccessDeniedException"):
        kms.ask("Encrypt", caller=ANN, KeyId=two, Plaintext=b"x")


def test_the_same_named_request_gives_the_same_grant_and_another_token(kms):
    arn = kms.key()
    one, two = (grant(kms, arn, Name="mine") for _ in range(2))
    assert one["GrantId"] == two["GrantId"]
    assert one["GrantToken"] != two["GrantToken"]
    assert grant(kms, arn, Name="mine", operations=["Encrypt"])["GrantId"] != one["GrantId"]
    assert grant(kms, arn)["GrantId"] != grant(kms, arn)["GrantId"]


def test_a_grant_of_grants_gives_on_no_more_than_it_has(kms):
    arn = kms.key()
    grant(kms, arn, operations=["CreateGrant", "Encrypt"], Constraints={"EncryptionContextSubset": {"app": "one"}})
    narrow = {"EncryptionContextEquals": {"app": "one", "stage": "live"}}
    grant(kms, arn, grantee=BOB.arn, operations=["Encrypt"], Constraints=narrow, caller=ANN)
    grant(
        kms,
        arn,
        grantee=BOB.arn,
        operations=["Encrypt"],
        Constraints={"EncryptionContextSubset": {"app": "one"}},
        caller=ANN,
    )
    too_much: list[dict[str, Any]] = [
        {"operations": ["Decrypt"], "Constraints": narrow},
        {"operations": ["Encrypt", "Decrypt"], "Constraints": narrow},
        {"operations": ["Encrypt"]},
        {"operations": ["Encrypt"], "Constraints": {"EncryptionContextSubset": {"stage": "live"}}},
        {"operations": ["Encrypt"], "Constraints": {"EncryptionContextEquals": {"app": "two"}}},
    ]
    for asked in too_much:
        with refused("AccessDeniedException"):
            grant(kms, arn, grantee=BOB.arn, caller=ANN, **asked)


def test_a_revoked_grant_allows_nothing_at_once(kms):
    arn = kms.key()
    made = grant(kms, arn)
    with refused("DryRunOperationException"):
        kms.ask("RevokeGrant", KeyId=arn, GrantId=made["GrantId"], DryRun=True)
    kms.ask("RevokeGrant", KeyId=arn, GrantId=made["GrantId"])
    with refused("AccessDeniedException"):
        kms.ask("Encrypt", caller=ANN, KeyId=arn, Plaintext=b"x")
    with refused("InvalidGrantIdException"):
        kms.ask("RevokeGrant", KeyId=arn, GrantId=made["GrantId"])


def test_a_grant_is_revoked_only_through_its_own_key(kms):
    one, two = kms.key(), kms.key()
    made = grant(kms, one)
    with refused("InvalidGrantIdException"):
        kms.ask("RevokeGrant", KeyId=two, GrantId=made["GrantId"])


def test_the_retiring_principal_retires_without_any_policy(kms):
    arn = kms.key()
    made = grant(kms, arn, RetiringPrincipal=BOB.arn)
    with refused("AccessDeniedException"):
        kms.ask("RetireGrant", caller=ANN, KeyId=arn, GrantId=made["GrantId"])
    kms.ask("RetireGrant", caller=BOB, GrantToken=made["GrantToken"])
    assert kms.ask("ListGrants", KeyId=arn)["Grants"] == []


def test_the_grantee_retires_if_the_grant_says_so(kms):
    arn = kms.key()
    made = grant(kms, arn, operations=["Decrypt", "RetireGrant"])
    kms.ask("RetireGrant", caller=ANN, KeyId=arn, GrantId=made["GrantId"])
    with refused("ValidationException", "Grant token OR (grant ID, key ID) must be specified"):
        kms.ask("RetireGrant", KeyId=arn)


def test_a_token_must_be_ours_and_its_grant_must_be_there(kms):
    arn = kms.key()
    made = grant(kms, arn)
    kms.ask("Encrypt", KeyId=arn, Plaintext=b"x", GrantTokens=[made["GrantToken"]])
    kms.ask("RevokeGrant", KeyId=arn, GrantId=made["GrantId"])
    for token in (made["GrantToken"], "x", "W10=", "bnVsbA==", made["GrantToken"][:-9] + "AAAAAAAAA", "é"):
        with refused("InvalidGrantTokenException"):
            kms.ask("Encrypt", KeyId=arn, Plaintext=b"x", GrantTokens=[token])


def test_grants_are_listed_filtered_and_paged(kms):
    arn = kms.key()
    made = {grant(kms, arn, grantee=principal)["GrantId"]: principal for principal in (ANN.arn, ANN.arn, BOB.arn)}
    first = kms.ask("ListGrants", KeyId=arn, Limit=2)
    second = kms.ask("ListGrants", KeyId=arn, Limit=2, Marker=first["NextMarker"])
    found = {entry["GrantId"]: entry["GranteePrincipal"] for entry in first["Grants"] + second["Grants"]}
    assert (found, second["Truncated"]) == (made, False)
    assert [g["GranteePrincipal"] for g in kms.ask("ListGrants", KeyId=arn, GranteePrincipal=BOB.arn)["Grants"]] == [
        BOB.arn
    ]
    only = next(iter(made))
    assert [g["GrantId"] for g in kms.ask("ListGrants", KeyId=arn, GrantId=only)["Grants"]] == [only]


def test_retirable_grants_are_listed_by_who_may_retire_them(kms):
    arn = kms.key()
    made = grant(kms, arn, RetiringPrincipal=BOB.arn, Constraints={"EncryptionContextEquals": CONTEXT})
    grant(kms, arn)
    (shown,) = kms.ask("ListRetirableGrants", RetiringPrincipal=BOB.arn)["Grants"]
    assert (shown["GrantId"], shown["KeyId"], shown["RetiringPrincipal"]) == (made["GrantId"], arn, BOB.arn)
    assert shown["Constraints"] == {"EncryptionContextEquals": CONTEXT}


@pytest.mark.parametrize(
    "params",
    [
        {"Operations": ["Sign"]},
        {"Operations": []},
        {"GranteePrincipal": f"arn:aws:iam::{OWN}:user/nobody"},
        {"GranteeServicePrincipal": "lambda.amazonaws.com"},
        {"Constraints": {"EncryptionContextEquals": {}, "EncryptionContextSubset": {}}},
    ],
    ids=str,
)
def test_a_grant_that_cannot_be_is_refused(kms, params):
    arn = kms.key()
    with refused("ValidationException"):
        kms.ask("CreateGrant", **{"KeyId": arn, "GranteePrincipal": ANN.arn, "Operations": ["Decrypt"], **params})


def test_a_grant_for_a_service_is_for_that_service(kms):
    arn = kms.key()
    rule = f"arn:aws:events:eu-west-1:{OWN}:rule/mine"
    asked = {"KeyId": arn, "GranteeServicePrincipal": "events.amazonaws.com", "Operations": ["Decrypt"]}
    for missing in ({}, {"RetiringPrincipal": BOB.arn}, {"Constraints": {"SourceArn": rule}}):
        with refused("ValidationException"):
            kms.ask("CreateGrant", **asked, **missing)
    kms.ask("CreateGrant", **asked, RetiringPrincipal=BOB.arn, Constraints={"SourceArn": rule})
    sealed = kms.ask("Encrypt", KeyId=arn, Plaintext=b"x")["CiphertextBlob"]
    events = Caller("AWSService", OWN, "", "", "events.amazonaws.com")
    for_rule = {"aws:SourceArn": (rule,)}
    assert kms.ask("Decrypt", caller=events, CiphertextBlob=sealed, conditions=for_rule)["Plaintext"] == b"x"
    with refused("AccessDeniedException"):
        kms.ask("Decrypt", caller=events, CiphertextBlob=sealed, conditions={"aws:SourceArn": (rule + "2",)})


def test_policies_see_what_a_grant_would_allow(kms):
    arn = kms.key()
    only = {**EVERYTHING, "Condition": {"ForAllValues:StringEquals": {"kms:GrantOperations": ["Decrypt"]}}}
    kms.may(BOB, only)
    grant(kms, arn, operations=["Decrypt"], caller=BOB)
    with refused("AccessDeniedException"):
        grant(kms, arn, operations=["Decrypt", "Encrypt"], caller=BOB)


def test_a_grant_that_was_forged_fails_closed(kms):
    arn = kms.key()
    grant(kms, arn)
    kms.sql("UPDATE kms_grant SET grantee = :bob", bob=BOB.arn)
    with pytest.raises(Unsealable):
        kms.ask("Encrypt", caller=BOB, KeyId=arn, Plaintext=b"x")


def test_a_grant_that_was_added_from_outside_is_not_seen_or_fails_closed(kms):
    arn = kms.key()
    made = grant(kms, arn)
    row = kms.sql("SELECT mac FROM kms_grant")[0]
    kms.ask("RevokeGrant", KeyId=arn, GrantId=made["GrantId"])
    kms.sql(
        "INSERT INTO kms_grant (id, region, key_id, issuer, grantee, retiring, name, operations, created_at_ms, mac)"
        " VALUES ('0', 'eu-west-1', :key, '1', :ann, '', '', '[\"Encrypt\"]', 0, :mac)",
        key=arn.split("/")[1].replace("-", ""), ann=ANN.arn, mac=row[0],
    )  # fmt: skip
    with refused("AccessDeniedException"):
        kms.ask("Encrypt", caller=ANN, KeyId=arn, Plaintext=b"x")
    assert kms.ask("Encrypt", caller=ADMIN, KeyId=arn, Plaintext=b"x")
