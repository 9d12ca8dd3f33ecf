"""Resource policies through real clients: what is kept, what is shown, what is refused, and what they allow."""

import json
from typing import Any

import pytest

from tests.house import House, Key
from tests.services.secretsmanager.asking import DELETED, EVERYTHING, NO_SECRET, refused

SYNTAX = "This resource policy contains a syntax error."
NO_PRINCIPAL = "This resource policy contains an unsupported principal."
NO_SERVICE = "This resource policy contains an unsupported service principal."
BROAD = "You can't attach a resource-based policy that allows broad access to the secret."
BROAD_FINDING = (
    "This resource policy grants broad access to your secret. "
    "Secrets Manager does not allow creating and applying such policies in the console."
)
LOCKED_OUT = "Your requested changes will not allow you to manage this secret in the future."
ONLY_DEFAULT = "You can only attach or delete the resource policy named default."

READ = "secretsmanager:GetSecretValue"
MALFORMED = "MalformedPolicyDocumentException"


def policy(*statements: dict[str, Any]) -> str:
    """A document whose statements speak of everybody's GetSecretValue on this secret where they do not say otherwise."""
    defaults = {"Effect": "Allow", "Action": READ, "Resource": "*"}
    return json.dumps({"Version": "2012-10-17", "Statement": [{**defaults, **each} for each in statements]})


def arn(house: House, name: str, kind: str = "user") -> str:
    return f"arn:aws:iam::{house.account}:{kind}/{name}"


def shown(sm: Any, name: str = "s") -> Any:
    """The attached policy, parsed; None if there is none."""
    document = sm.get_resource_policy(SecretId=name).get("ResourcePolicy")
    return None if document is None else json.loads(document)


def principal_shown(sm: Any) -> Any:
    return shown(sm)["Statement"][0]["Principal"]


@pytest.fixture
def secret(sm: Any) -> Any:
    """The answer that made the secret `s`."""
    return sm.create_secret(Name="s", SecretString="kept")


@pytest.fixture
def ann(house: House) -> Key:
    """A user without a policy."""
    return house.user("ann")


EVERYBODY = policy({"Principal": "*"})
ROOM_FOR_ALL = '{ "Version":"2012-10-17",\n "Statement":{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}}'


# -- one policy, kept and shown ---------------------------------------------------------------------------------------


def test_a_secret_without_policy_shows_none(sm: Any, secret: Any) -> None:
    answer = sm.get_resource_policy(SecretId="s")
    del answer["ResponseMetadata"]
    assert answer == {"ARN": secret["ARN"], "Name": "s", "PolicyName": "default"}
    assert sm.list_resource_policies(SecretId="s")["ResourcePolicies"] == []


def test_a_policy_is_shown_as_it_was_put(house_on_each: House) -> None:
    sm = house_on_each.client("secretsmanager")
    sm.create_secret(Name="s", SecretString="kept")
    answer = sm.put_resource_policy(SecretId="s", ResourcePolicy=ROOM_FOR_ALL)
    assert (answer["Name"], answer["PolicyName"]) == ("s", "default")
    assert sm.get_resource_policy(SecretId="s")["ResourcePolicy"] == ROOM_FOR_ALL
    assert sm.list_resource_policies(SecretId="s", MaxResults=1)["ResourcePolicies"] == [{"PolicyName": "default"}]


def test_a_policy_takes_the_place_of_the_one_before(sm: Any, secret: Any, house: House, ann: Key) -> None:
    sm.put_resource_policy(SecretId="s", ResourcePolicy=EVERYBODY)
    sm.put_resource_policy(SecretId=secret["ARN"], ResourcePolicy=policy({"Principal": {"AWS": arn(house, "ann")}}))
    assert principal_shown(sm) == {"AWS": arn(house, "ann")}


def test_a_deleted_policy_is_gone_and_may_be_deleted_again(house_on_each: House) -> None:
    sm = house_on_each.client("secretsmanager")
    sm.create_secret(Name="s", SecretString="kept")
    sm.put_resource_policy(SecretId="s", ResourcePolicy=EVERYBODY)
    for _ in range(2):
        assert sm.delete_resource_policy(SecretId="s")["PolicyName"] == "default"
        assert shown(sm) is None


def test_a_change_of_the_policy_is_a_change_of_the_secret(house: House, sm: Any, secret: Any) -> None:
    for change in (
        lambda: sm.put_resource_policy(SecretId="s", ResourcePolicy=EVERYBODY),
        lambda: sm.delete_resource_policy(SecretId="s"),
    ):
        before = sm.describe_secret(SecretId="s")["LastChangedDate"]
        house.clock.turn(ms=60_000)
        change()
        assert sm.describe_secret(SecretId="s")["LastChangedDate"] > before


# -- what it does -----------------------------------------------------------------------------------------------------


def test_a_user_named_in_the_policy_needs_no_policy_of_his_own(house: House, sm: Any, secret: Any, ann: Key) -> None:
    sm.put_resource_policy(SecretId="s", ResourcePolicy=policy({"Principal": {"AWS": arn(house, "ann")}}))
    assert house.client("secretsmanager", ann).get_secret_value(SecretId=secret["ARN"])["SecretString"] == "kept"
    with refused("AccessDeniedException"):
        house.client("secretsmanager", ann).describe_secret(SecretId="s")


def test_a_denied_user_is_denied_whatever_his_own_policy_says(house: House, sm: Any, secret: Any) -> None:
    bob = house.client("secretsmanager", house.user("bob", EVERYTHING))
    sm.put_resource_policy(
        SecretId="s", ResourcePolicy=policy({"Effect": "Deny", "Principal": {"AWS": arn(house, "bob")}})
    )
    with refused("AccessDeniedException"):
        bob.get_secret_value(SecretId="s")
    sm.delete_resource_policy(SecretId="s")
    assert bob.get_secret_value(SecretId="s")["SecretString"] == "kept"


def test_a_user_made_again_under_his_name_does_not_inherit_the_policy(house: House, sm: Any, secret: Any) -> None:
    house.client("iam").create_user(UserName="eve")
    sm.put_resource_policy(SecretId="s", ResourcePolicy=policy({"Principal": {"AWS": [arn(house, "eve")]}}))
    first = house.client("iam").get_user(UserName="eve")["User"]["UserId"]
    house.client("iam").delete_user(UserName="eve")
    assert principal_shown(sm) == {"AWS": [first]}
    again = house.client("secretsmanager", house.user("eve"))
    with refused("AccessDeniedException"):
        again.get_secret_value(SecretId="s")
    assert principal_shown(sm) == {"AWS": [first]}


def test_the_id_of_somebody_who_is_gone_cannot_be_put_again(house: House, sm: Any, secret: Any) -> None:
    made = house.client("iam").create_user(UserName="eve")["User"]
    sm.put_resource_policy(SecretId="s", ResourcePolicy=policy({"Principal": {"AWS": made["UserId"]}}))
    assert principal_shown(sm) == {"AWS": arn(house, "eve")}
    house.client("iam").delete_user(UserName="eve")
    with refused(MALFORMED, NO_PRINCIPAL):
        sm.put_resource_policy(SecretId="s", ResourcePolicy=json.dumps(shown(sm)))


# -- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "document",
    [
        "{",
        "[]",
        '"Allow"',
        "{}",
        '{"Version":"2012-10-17","Statement":[]}',
        policy({"Effect": "AllowSomething", "Principal": "*"}),
        policy({"Principal": "*", "Color": "red"}),
        policy({}),
        policy({"NotPrincipal": {"AWS": "*"}}),
        policy({"Principal": {"AWS": []}}),
        policy({"Principal": "*", "Action": []}),
        policy({"Principal": "*", "Action": "GetSecretValue"}),
        policy({"Principal": "*", "Action": "s3:GetObject"}),
        policy({"Principal": "*", "Action": [READ, "kms:Decrypt"]}),
        policy({"Effect": "Deny", "Principal": "*", "Action": None, "NotAction": "iam:*"}).replace('"Action": null, ', ""),
        policy({"Principal": "*", "Condition": {"StringAlmost": {"aws:username": "x"}}}),
        policy({"Principal": "*", "Condition": {"StringEquals": {"aws:username": "${"}}}),
        policy({"Principal": "*"}).replace('"Effect"', '"Effect": "Deny", "Effect"'),
        policy({"Principal": "*", "Condition": {"NumericEquals": {"a": 0}}}).replace(": 0", ": 1" + "0" * 5000),
        policy({"Principal": "*", "Condition": {"NumericEquals": {"a": 0}}}).replace(": 0", ": 1e999"),
    ],
)  # fmt: skip
def test_what_is_no_policy_is_a_syntax_error(sm: Any, secret: Any, document: str) -> None:
    for ask in (sm.put_resource_policy, sm.validate_resource_policy):
        with refused(MALFORMED, SYNTAX):
            ask(SecretId="s", ResourcePolicy=document)
    assert shown(sm) is None
    assert sm.get_secret_value(SecretId="s")["SecretString"] == "kept"


@pytest.mark.parametrize("number", ["1e999", "0.1000000000000000000001", "1" + "0" * 5000])
def test_no_number_is_rounded_on_its_way(house: House, sm: Any, secret: Any, ann: Key, number: str) -> None:
    statement = {"Principal": {"AWS": arn(house, "ann")}, "Condition": {"StringEquals": {"aws:username": 0}}}
    sm.put_resource_policy(SecretId="s", ResourcePolicy=policy(statement).replace(": 0", f": {number}"))
    assert shown(sm)["Statement"][0]["Condition"] == {"StringEquals": {"aws:username": number}}


@pytest.mark.parametrize(
    "principal",
    [
        "arn:aws:iam::123456789012:user/nobody",
        "arn:aws:iam::HERE:user/nobody",
        "arn:aws:iam::HERE:role/nobody",
        "arn:aws:iam::HERE:group/admins",
        "arn:aws:iam::HERE:user/*",
        "arn:aws:sts::HERE:assumed-role/nobody/session",
        "123456789012",
        "arn:aws:iam::123456789012:root",
        "AIDAABCDEFGHIJKLMNOPQ",
        "nobody",
    ],
)
def test_nobody_may_be_named_who_does_not_exist(house: House, sm: Any, secret: Any, principal: str) -> None:
    named = {"AWS": [f"arn:aws:iam::{house.account}:root", principal.replace("HERE", house.account)]}
    for effect in ("Allow", "Deny"):
        with refused(MALFORMED, NO_PRINCIPAL):
            sm.put_resource_policy(SecretId="s", ResourcePolicy=policy({"Effect": effect, "Principal": named}))
    with refused(MALFORMED, NO_PRINCIPAL):
        sm.validate_resource_policy(ResourcePolicy=policy({"Principal": named}))


@pytest.mark.parametrize("service", ["lambda", "*", "lambda.example.com", "LAMBDA.amazonaws.com", ""])
def test_a_service_must_have_the_name_of_one(sm: Any, secret: Any, service: str) -> None:
    with refused(MALFORMED, NO_SERVICE):
        sm.put_resource_policy(SecretId="s", ResourcePolicy=policy({"Principal": {"Service": [service]}}))


def test_the_account_a_role_its_session_and_a_service_may_be_named(house: House, sm: Any, secret: Any) -> None:
    trust = {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "sts:AssumeRole"}}
    trust["Statement"] = {**EVERYTHING, "Action": "sts:AssumeRole", "Principal": {"AWS": house.account}}
    del trust["Statement"]["Resource"]  # type: ignore[attr-defined]
    house.client("iam").create_role(RoleName="app", AssumeRolePolicyDocument=json.dumps(trust))
    named = {
        "AWS": [
            house.account,
            f"arn:aws:iam::{house.account}:root",
            arn(house, "app", "role"),
            f"arn:aws:sts::{house.account}:assumed-role/app/now",
        ],
        "Service": "lambda.amazonaws.com",
    }
    sm.put_resource_policy(SecretId="s", ResourcePolicy=policy({"Principal": named}))
    assert principal_shown(sm) == named


@pytest.mark.parametrize("ask", ["put_resource_policy", "validate_resource_policy", "get_resource_policy",
                                 "delete_resource_policy", "list_resource_policies"])  # fmt: skip
def test_a_secret_that_is_not_there_or_waits_for_deletion_has_no_policy_to_speak_of(
    sm: Any, secret: Any, ask: str
) -> None:
    document = {"ResourcePolicy": EVERYBODY} if ask.startswith(("put", "validate")) else {}
    with refused("ResourceNotFoundException", NO_SECRET):
        getattr(sm, ask)(SecretId="t", **document)
    sm.delete_secret(SecretId="s")
    with refused("InvalidRequestException", DELETED):
        getattr(sm, ask)(SecretId="s", **document)


def test_default_is_the_only_name_of_a_policy(sm: Any, secret: Any) -> None:
    sm.put_resource_policy(SecretId="s", ResourcePolicy=EVERYBODY, PolicyName="default")
    with refused("InvalidParameterException", ONLY_DEFAULT):
        sm.put_resource_policy(SecretId="s", ResourcePolicy=EVERYBODY, PolicyName="other")
    with refused("InvalidParameterException", ONLY_DEFAULT):
        sm.delete_resource_policy(SecretId="s", PolicyName="other")
    with refused("ResourceNotFoundException"):
        sm.get_resource_policy(SecretId="s", PolicyName="other")
    assert sm.get_resource_policy(SecretId="s", PolicyName="default")["ResourcePolicy"] == EVERYBODY


def test_a_listing_has_no_second_page(sm: Any, secret: Any) -> None:
    with refused("InvalidNextTokenException"):
        sm.list_resource_policies(SecretId="s", NextToken="more")


# -- broad access -----------------------------------------------------------------------------------------------------


def test_broad_access_is_blocked_only_if_that_was_asked_for(sm: Any, secret: Any) -> None:
    with refused("PublicPolicyException", BROAD):
        sm.put_resource_policy(SecretId="s", ResourcePolicy=EVERYBODY, BlockPublicPolicy=True)
    assert shown(sm) is None
    sm.put_resource_policy(SecretId="s", ResourcePolicy=EVERYBODY, BlockPublicPolicy=False)
    sm.put_resource_policy(SecretId="s", ResourcePolicy=EVERYBODY)


def test_a_policy_for_everybody_from_one_network_is_not_blocked(sm: Any, secret: Any) -> None:
    held = policy({"Principal": "*", "Condition": {"StringEquals": {"aws:SourceVpc": "vpc-111bbb22"}}})
    sm.put_resource_policy(SecretId="s", ResourcePolicy=held, BlockPublicPolicy=True)
    assert shown(sm) == json.loads(held)


# -- lockout ----------------------------------------------------------------------------------------------------------

LOCKING = [
    {"Action": "secretsmanager:*"},
    {"Action": "*"},
    {"Action": ["secretsmanager:PutResourcePolicy"]},
    {"Action": ["secretsmanager:Delete*"]},
    {"Action": "secretsmanager:*", "Condition": {"StringNotEquals": {"aws:SourceVpce": "vpce-1a2b3c4d"}}},
    {"Action": "secretsmanager:*", "Condition": {"NotIpAddress": {"aws:SourceIp": "203.0.113.0/24"}}},
]


@pytest.mark.parametrize("denied", LOCKING)
def test_nobody_locks_himself_out(sm: Any, secret: Any, denied: dict[str, Any]) -> None:
    document = policy({"Effect": "Deny", "Principal": "*", **denied})
    with refused("InvalidParameterException", LOCKED_OUT):
        sm.put_resource_policy(SecretId="s", ResourcePolicy=document)
    assert shown(sm) is None


@pytest.mark.parametrize(
    "denied",
    [
        {"Action": READ},
        {"Action": "secretsmanager:*", "Condition": {"NotIpAddress": {"aws:SourceIp": "198.51.100.0/24"}}},
        {"Action": "secretsmanager:*", "Condition": {"ArnNotEquals": {"aws:PrincipalArn": "ME"}}},
        {
            "Action": "secretsmanager:PutResourcePolicy",
            "Condition": {"Bool": {"secretsmanager:BlockPublicPolicy": "false"}},
        },
    ],
)
def test_a_deny_that_spares_its_author_is_put(house: House, sm: Any, secret: Any, denied: dict[str, Any]) -> None:
    me = house.client("sts").get_caller_identity()["Arn"]
    document = policy({"Effect": "Deny", "Principal": "*", **denied}).replace('"ME"', json.dumps(me))
    sm.put_resource_policy(SecretId="s", ResourcePolicy=document)
    sm.delete_resource_policy(SecretId="s")


@pytest.mark.parametrize(
    "condition",
    [
        {"Bool": {"secretsmanager:BlockPublicPolicy": "true"}},
        {"StringEquals": {"secretsmanager:ResourceTag/team": "red"}},
        {"StringEquals": {"aws:ResourceTag/team": "red"}},
        {"ArnLike": {"secretsmanager:SecretId": "arn:aws:secretsmanager:*:*:secret:s-*"}},
    ],
)
def test_lockout_is_decided_with_the_circumstances_of_the_request(
    sm: Any, secret: Any, condition: dict[str, Any]
) -> None:
    sm.tag_resource(SecretId="s", Tags=[{"Key": "team", "Value": "red"}])
    denial = {"Effect": "Deny", "Principal": "*", "Action": "secretsmanager:PutResourcePolicy", "Condition": condition}
    with refused("InvalidParameterException", LOCKED_OUT):
        sm.put_resource_policy(SecretId="s", ResourcePolicy=policy(denial), BlockPublicPolicy=True)


def test_a_policy_may_lock_out_somebody_else(house: House, sm: Any, secret: Any) -> None:
    bob = house.user("bob", EVERYTHING)
    document = policy({"Effect": "Deny", "Principal": {"AWS": arn(house, "bob")}, "Action": "secretsmanager:*"})
    with refused("InvalidParameterException", LOCKED_OUT):
        house.client("secretsmanager", bob).put_resource_policy(SecretId="s", ResourcePolicy=document)
    sm.put_resource_policy(SecretId="s", ResourcePolicy=document)
    with refused("AccessDeniedException"):
        house.client("secretsmanager", bob).delete_resource_policy(SecretId="s")


def test_a_federated_user_is_asked_like_anybody(house: House, sm: Any, secret: Any, ann: Key) -> None:
    """His session policy is taken to allow everything, as his own policies are."""
    bob = house.client("sts", house.user("bob", EVERYTHING))
    made = bob.get_federation_token(
        Name="guest", Policy=json.dumps({"Version": "2012-10-17", "Statement": EVERYTHING})
    )["Credentials"]
    guest = house.client("secretsmanager", Key(made["AccessKeyId"], made["SecretAccessKey"], made["SessionToken"]))
    guest.put_resource_policy(SecretId="s", ResourcePolicy=policy({"Principal": {"AWS": arn(house, "ann")}}))
    assert principal_shown(sm) == {"AWS": arn(house, "ann")}
    with refused("InvalidParameterException", LOCKED_OUT):
        guest.put_resource_policy(
            SecretId="s",
            ResourcePolicy=policy({"Effect": "Deny", "Principal": {"AWS": arn(house, "bob")}, "Action": "*"}),
        )


# -- validation -------------------------------------------------------------------------------------------------------


def findings(answer: Any) -> list[tuple[str, str]]:
    assert answer["PolicyValidationPassed"] is not bool(answer["ValidationErrors"])
    return [(each["CheckName"], each["ErrorMessage"]) for each in answer["ValidationErrors"]]


def test_a_sound_policy_passes_with_and_without_a_secret(house: House, sm: Any, secret: Any, ann: Key) -> None:
    sound = policy({"Principal": {"AWS": arn(house, "ann")}})
    assert findings(sm.validate_resource_policy(ResourcePolicy=sound)) == []
    assert findings(sm.validate_resource_policy(SecretId="s", ResourcePolicy=sound)) == []
    assert shown(sm) is None


def test_a_policy_can_fail_both_checks(sm: Any, secret: Any) -> None:
    """Unverified: what AWS calls its checks."""
    both = policy(
        {"Principal": "*"}, {"Effect": "Deny", "Principal": "*", "Action": "secretsmanager:DeleteResourcePolicy"}
    )
    broad, locked_out = ("REFLEXIVE_PRINCIPAL_CHECK", BROAD_FINDING), ("LOCKOUT_CHECK", LOCKED_OUT)
    assert findings(sm.validate_resource_policy(SecretId="s", ResourcePolicy=both)) == [broad, locked_out]
    assert findings(sm.validate_resource_policy(ResourcePolicy=both)) == [broad]


def test_validation_needs_the_right_to_put_too(house: House, sm: Any, secret: Any) -> None:
    allowed = {"Effect": "Allow", "Action": "secretsmanager:ValidateResourcePolicy", "Resource": "*"}
    half = house.client("secretsmanager", house.user("half", allowed))
    whole = house.client(
        "secretsmanager", house.user("whole", allowed, {**allowed, "Action": "secretsmanager:PutResourcePolicy"})
    )
    for where in ({}, {"SecretId": "s"}):
        with refused("AccessDeniedException"):
            half.validate_resource_policy(ResourcePolicy=EVERYBODY, **where)
        assert findings(whole.validate_resource_policy(ResourcePolicy=EVERYBODY, **where)) != []
