import json
from typing import Any

import pytest

from geumgo.services.kms import ROOM
from geumgo.services.kms.managed import managed_policy
from tests.services.kms.house import ADMIN, EVERYTHING, OTHER, OWN, REGION, policy, refused, session, user

ROOT = f"arn:aws:iam::{OWN}:root"


def test_an_alias_is_made_moved_and_deleted(kms_on_each):
    kms = kms_on_each
    one, two = kms.key(), kms.key()
    kms.ask("CreateAlias", AliasName="alias/app", TargetKeyId=one)
    listed = kms.ask("ListAliases", KeyId=one)["Aliases"]
    assert [(a["AliasName"], a["AliasArn"], a["TargetKeyId"]) for a in listed] == [
        ("alias/app", f"arn:aws:kms:{REGION}:{OWN}:alias/app", one.split("/")[1])
    ]
    kms.ask("UpdateAlias", AliasName="alias/app", TargetKeyId=two)
    assert kms.ask("DescribeKey", KeyId="alias/app")["KeyMetadata"]["Arn"] == two
    assert kms.ask("ListAliases", KeyId=one)["Aliases"] == []
    kms.ask("DeleteAlias", AliasName="alias/app")
    with refused("NotFoundException", f"Alias arn:aws:kms:{REGION}:{OWN}:alias/app is not found."):
        kms.ask("DeleteAlias", AliasName="alias/app")
    assert kms.ask("ListAliases")["Aliases"] == []


def test_an_alias_does_not_stand_for_its_key_where_keys_are_managed(kms):
    kms.ask("CreateAlias", AliasName="alias/app", TargetKeyId=kms.key())
    for name in ("DisableKey", "GetKeyPolicy", "ListGrants", "ListResourceTags", "GetKeyRotationStatus"):
        with refused("NotFoundException", "Invalid keyId 'alias/app'"):
            kms.ask(name, KeyId="alias/app")


def test_an_alias_is_made_once(kms):
    arn = kms.key()
    kms.ask("CreateAlias", AliasName="alias/app", TargetKeyId=arn)
    with refused(
        "AlreadyExistsException", f"An alias with the name arn:aws:kms:{REGION}:{OWN}:alias/app already exists"
    ):
        kms.ask("CreateAlias", AliasName="alias/app", TargetKeyId=arn)


@pytest.mark.parametrize(
    ("name", "code"),
    [("app", "ValidationException"), ("alias/aws/mine", "NotAuthorizedException"), ("alias/a:b", "InvalidAliasNameException"),
     ("alias/a b", "ValidationException"), ("alias/", "InvalidAliasNameException")],
)  # fmt: skip
def test_an_alias_cannot_have_any_name(kms, name, code):
    with refused(code):
        kms.ask("CreateAlias", AliasName=name, TargetKeyId=kms.key())


def test_an_alias_points_to_no_alias_and_to_no_key_that_waits_for_its_deletion(kms):
    arn = kms.key()
    kms.ask("CreateAlias", AliasName="alias/app", TargetKeyId=arn)
    with refused("ValidationException"):
        kms.ask("CreateAlias", AliasName="alias/two", TargetKeyId="alias/app")
    kms.ask("ScheduleKeyDeletion", KeyId=arn)
    with refused("KMSInvalidStateException"):
        kms.ask("CreateAlias", AliasName="alias/two", TargetKeyId=arn)


def test_an_alias_does_not_move_to_a_key_of_another_kind(kms):
    kms.ask("CreateAlias", AliasName="alias/app", TargetKeyId=kms.key())
    with refused("ValidationException"):
        kms.ask(
            "UpdateAlias",
            AliasName="alias/app",
            TargetKeyId=kms.key(KeySpec="HMAC_256", KeyUsage="GENERATE_VERIFY_MAC"),
        )


def test_an_alias_needs_rights_on_the_alias_and_on_the_key(kms):
    arn = kms.key()
    on_alias = {"Effect": "Allow", "Action": "kms:CreateAlias", "Resource": f"arn:aws:kms:{REGION}:{OWN}:alias/app"}
    on_key = {"Effect": "Allow", "Action": "kms:CreateAlias", "Resource": arn}
    for allowed in ((on_alias,), (on_key,)):
        with refused("AccessDeniedException"):
            kms.ask("CreateAlias", caller=kms.may(user("ann"), *allowed), AliasName="alias/app", TargetKeyId=arn)
    kms.ask("CreateAlias", caller=kms.may(user("ann"), on_alias, on_key), AliasName="alias/app", TargetKeyId=arn)


def test_policies_see_the_alias_that_was_asked_and_all_that_the_key_has(kms):
    arn = kms.key()
    kms.ask("CreateAlias", AliasName="alias/app", TargetKeyId=arn)
    by_request = {**EVERYTHING, "Condition": {"StringEquals": {"kms:RequestAlias": "alias/app"}}}
    ann = kms.may(user("ann"), by_request)
    kms.ask("Encrypt", caller=ann, KeyId="alias/app", Plaintext=b"x")
    with refused("AccessDeniedException"):
        kms.ask("Encrypt", caller=ann, KeyId=arn, Plaintext=b"x")
    by_key = {**EVERYTHING, "Condition": {"ForAnyValue:StringEquals": {"kms:ResourceAliases": "alias/app"}}}
    kms.ask("Encrypt", caller=kms.may(user("bob"), by_key), KeyId=arn, Plaintext=b"x")
    with refused("AccessDeniedException"):
        kms.ask("Encrypt", caller=user("bob"), KeyId=kms.key(), Plaintext=b"x")


# -- key policies -----------------------------------------------------------------------------------------------------


def test_a_key_has_the_default_policy_until_it_gets_another(kms):
    arn = kms.key()
    default = json.loads(kms.ask("GetKeyPolicy", KeyId=arn)["Policy"])
    assert default["Id"] == "key-default-1"
    assert default["Statement"][0]["Principal"] == {"AWS": ROOT}
    own = policy({"Effect": "Allow", "Principal": {"AWS": ROOT}, "Action": "kms:*", "Resource": "*"})
    kms.ask("PutKeyPolicy", KeyId=arn, Policy=own)
    assert kms.ask("GetKeyPolicy", KeyId=arn, PolicyName="default") == {"Policy": own, "PolicyName": "default"}
    assert kms.ask("ListKeyPolicies", KeyId=arn) == {"PolicyNames": ["default"], "Truncated": False}
    with refused("NotFoundException"):
        kms.ask("GetKeyPolicy", KeyId=arn, PolicyName="other")


LOCKED = policy({"Effect": "Allow", "Principal": {"AWS": user("bob").arn}, "Action": "kms:*", "Resource": "*"})


def test_a_policy_that_locks_its_author_out_is_refused_unless_he_insists(kms):
    message = "The new key policy will not allow you to update the key policy in the future."
    arn = kms.key()
    with refused("MalformedPolicyDocumentException", message):
        kms.ask("PutKeyPolicy", KeyId=arn, Policy=LOCKED)
    with refused("MalformedPolicyDocumentException", message):
        kms.ask("CreateKey", Policy=LOCKED)
    kms.ask("PutKeyPolicy", KeyId=arn, Policy=LOCKED, BypassPolicyLockoutSafetyCheck=True)
    with refused("AccessDeniedException"):
        kms.ask("DescribeKey", KeyId=arn)


@pytest.mark.parametrize(
    "document",
    ["{", "[]", "{}", '"x"', policy(EVERYTHING), policy({"Effect": "Maybe", "Principal": "*", "Action": "*", "Resource": "*"}),
     policy({"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{OWN}:user/nobody"}, "Action": "kms:*", "Resource": "*"})],
)  # fmt: skip
def test_what_is_no_key_policy_is_refused(kms, document):
    with refused("MalformedPolicyDocumentException"):
        kms.ask("PutKeyPolicy", KeyId=kms.key(), Policy=document, BypassPolicyLockoutSafetyCheck=True)


def test_a_policy_larger_than_32_kib_is_refused(kms):
    statement = {"Sid": "x" * 33_000, "Effect": "Allow", "Principal": {"AWS": ROOT}, "Action": "kms:*", "Resource": "*"}
    with refused("LimitExceededException"):
        kms.ask("PutKeyPolicy", KeyId=kms.key(), Policy=policy(statement))


# -- AWS managed keys -------------------------------------------------------------------------------------------------

DEFAULT = "alias/aws/secretsmanager"


def data_key(kms, **how):
    return kms.ask("GenerateDataKey", KeyId=DEFAULT, KeySpec="AES_256", **how)


def test_a_service_makes_its_key_when_it_first_needs_it(kms_on_each):
    kms = kms_on_each
    first = data_key(kms, via="secretsmanager")
    assert data_key(kms, via="secretsmanager")["KeyId"] == first["KeyId"]
    described = kms.ask("DescribeKey", KeyId=DEFAULT)["KeyMetadata"]
    assert (described["Arn"], described["KeyManager"]) == (first["KeyId"], "AWS")
    shown = json.loads(kms.ask("GetKeyPolicy", KeyId=first["KeyId"])["Policy"])
    assert shown == managed_policy("aws", OWN, REGION, "secretsmanager")
    assert [a["AliasName"] for a in kms.ask("ListAliases")["Aliases"]] == [DEFAULT]


@pytest.mark.parametrize("how", [{}, {"via": "ssm"}, {"via": "secretsmanager", "reads_only": True}])
def test_nobody_else_makes_that_key_and_no_read_does(kms, how):
    with refused("NotFoundException"):
        data_key(kms, **how)
    assert kms.ask("ListKeys")["Keys"] == []


def test_any_principal_of_the_account_uses_the_key_through_the_service_and_only_so(kms):
    made = data_key(kms, via="secretsmanager")
    ann = user("ann")
    opened = kms.ask("Decrypt", caller=ann, via="secretsmanager", CiphertextBlob=made["CiphertextBlob"])
    assert opened["Plaintext"] == made["Plaintext"]
    for how in ({}, {"via": "ssm"}):
        with refused("AccessDeniedException"):
            kms.ask("Decrypt", caller=ann, CiphertextBlob=made["CiphertextBlob"], **how)
    with refused("AccessDeniedException"):
        kms.ask("Decrypt", CiphertextBlob=made["CiphertextBlob"])
    far = kms.may(user("far", OTHER), EVERYTHING)
    with refused("AccessDeniedException"):
        kms.ask("Decrypt", caller=far, via="secretsmanager", CiphertextBlob=made["CiphertextBlob"])


@pytest.mark.parametrize(
    ("name", "params"),
    [("DisableKey", {}), ("ScheduleKeyDeletion", {}), ("PutKeyPolicy", {"Policy": LOCKED}), ("TagResource", {"Tags": []}),
     ("DisableKeyRotation", {}), ("UpdateKeyDescription", {"Description": ""})],
)  # fmt: skip
def test_nobody_manages_an_aws_managed_key(kms, name, params):
    data_key(kms, via="secretsmanager")
    root = user("root")
    for caller in (ADMIN, type(root)("Root", OWN, ROOT, OWN)):
        with refused("AccessDeniedException"):
            kms.ask(name, caller=caller, KeyId=kms.ask("DescribeKey", KeyId=DEFAULT)["KeyMetadata"]["Arn"], **params)


def test_an_aws_managed_key_rotates_every_year(kms):
    made = data_key(kms, via="secretsmanager")
    kms.clock.turn(days=365)
    assert kms.run_jobs() == 1
    assert data_key(kms, via="secretsmanager")["KeyMaterialId"] != made["KeyMaterialId"]
    assert (
        kms.ask("Decrypt", via="secretsmanager", CiphertextBlob=made["CiphertextBlob"])["Plaintext"]
        == made["Plaintext"]
    )


# -- every operation --------------------------------------------------------------------------------------------------

CALLS = {
    "CreateAlias": {"AliasName": "alias/x"}, "UpdateAlias": {"AliasName": "alias/app"}, "DeleteAlias": {"AliasName": "alias/app"},
    "ReEncrypt": {"CiphertextBlob": b"?"}, "RetireGrant": {"GrantId": "0" * 64},
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(ROOM.operations))
def test_every_operation_is_denied_to_a_caller_without_a_policy(kms, name, request):
    arn = kms.key()
    kms.ask("CreateAlias", AliasName="alias/app", TargetKeyId=arn)
    sealed = kms.ask("Encrypt", KeyId=arn, Plaintext=b"x")["CiphertextBlob"]
    members = {
        "KeyId": arn, "TargetKeyId": arn, "DestinationKeyId": arn, "GrantId": "0" * 64, "CiphertextBlob": sealed, "Plaintext": b"x",
        "AliasName": "alias/app", "Operations": ["Decrypt"], "Policy": LOCKED, "Tags": [], "TagKeys": [], "Message": b"x",
        "Signature": b"x", "Mac": b"x", "SigningAlgorithm": "ECDSA_SHA_256", "MacAlgorithm": "HMAC_SHA_256",
        "KeyAgreementAlgorithm": "ECDH", "PublicKey": b"x", "EncapsulationAlgorithm": "ML_KEM", "SharedSecretCiphertextBlob": b"x",
        "KeyPairSpec": "RSA_2048", "WrappingAlgorithm": "RSAES_OAEP_SHA_256", "WrappingKeySpec": "RSA_2048", "ImportToken": b"x",
        "EncryptedKeyMaterial": b"x", "ReplicaRegion": "us-east-1", "PrimaryRegion": "us-east-1", "Description": "",
    }  # fmt: skip
    from tests.services.kms.house import MODEL

    shape: Any = MODEL.operations[name].input
    wanted = {*shape.required, "CiphertextBlob"} & set(shape.members)
    params = {member: members[member] for member in wanted}
    with refused("AccessDeniedException"):
        kms.ask(name, caller=session("app"), **params)
