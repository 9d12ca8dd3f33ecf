"""Which policies grant broad access, and that no stranger passes one that does not."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geumgo.domain.policy import Asked, Context, PolicyKind, PolicyPrincipal, Standing, compile_policy, decide
from geumgo.services.secretsmanager.domain_policy import foreign_actions, grants_broad_access, service_principals

READ = "secretsmanager:GetSecretValue"
OWN, FRIEND = "111122223333", "444455556666"
SECRET = f"arn:aws:secretsmanager:eu-west-1:{OWN}:secret:s-AbCdEf"
EVERYBODY: dict[str, Any] = {"Principal": "*"}


def document(*statements: dict[str, Any]) -> str:
    """A document that is a policy; its statements allow everything to whom they name where they do not say otherwise."""
    defaults = {"Effect": "Allow", "Action": "secretsmanager:*", "Resource": "*"}
    filled = [
        {**{k: v for k, v in defaults.items() if k != "Action" or "NotAction" not in each}, **each}
        for each in statements
    ]
    text = json.dumps({"Version": "2012-10-17", "Statement": filled})
    compile_policy(text, PolicyKind.RESOURCE)
    return text


def when(operator: str, key: str, *values: str | int | bool) -> dict[str, Any]:
    return {"Condition": {operator: {key: list(values)}}}


@pytest.mark.parametrize(
    "principal",
    ["*", {"AWS": "*"}, {"AWS": [f"arn:aws:iam::{OWN}:root", "*"]}, {"Service": "lambda.amazonaws.com"},
     {"AWS": OWN, "Service": ["sns.amazonaws.com"]}, {"Federated": "accounts.google.com"}],
)  # fmt: skip
def test_strangers_who_are_held_by_nothing_are_broad_access(principal: Any) -> None:
    """Unverified: that a service without source is."""
    assert grants_broad_access(document({"Principal": principal}))
    assert grants_broad_access(document({"Principal": principal, "Action": READ}))
    assert grants_broad_access(document({"Principal": principal, "NotAction": READ}))
    assert not grants_broad_access(document({"Effect": "Deny", "Principal": principal}))


@pytest.mark.parametrize(
    "principal",
    [
        FRIEND,
        f"arn:aws:iam::{FRIEND}:root",
        f"arn:aws:iam::{OWN}:role/app",
        f"arn:aws:sts::{OWN}:assumed-role/app/now",
        "AROAABCDEFGHIJKLMNOPQ",
    ],
)
def test_whoever_is_named_is_no_broad_access(principal: str) -> None:
    assert not grants_broad_access(document({"Principal": {"AWS": principal}}))


HOLDING = [
    when("StringEquals", "aws:SourceVpc", "vpc-111bbb22"),
    when("StringEquals", "AWS:sourceVPCE", "vpce-1a2b3c4d", "vpce-2a2b3c4d"),
    when("StringLike", "aws:SourceVpce", "vpce-1a2b3c4d"),
    when("StringEqualsIgnoreCase", "aws:PrincipalOrgID", "o-abcdefghij"),
    when("StringEquals", "aws:SourceAccount", FRIEND),
    when("StringEquals", "aws:SourceAccount", int(FRIEND)),
    when("StringEquals", "aws:PrincipalAccount", FRIEND),
    when("StringEquals", "aws:SourceOwner", FRIEND),
    when("StringEquals", "aws:userid", "AIDAABCDEFGHIJKLMNOPQ"),
    when("StringLike", "aws:userid", "AROAABCDEFGHIJKLMNOPQ:*"),
    when("ArnLike", "aws:SourceArn", f"arn:aws:sns:*:{FRIEND}:*"),
    when("ArnEquals", "aws:SourceArn", f"arn:aws:*:*:{FRIEND}:*"),
    when("ArnLike", "aws:SourceArn", "arn:aws:s3:::bucket"),
    when("ArnLike", "aws:PrincipalArn", f"arn:aws:iam::{FRIEND}:role/*"),
    when("StringLike", "aws:PrincipalArn", f"arn:aws:iam::{FRIEND}:role/*"),
    when("StringEquals", "aws:PrincipalArn", f"arn:aws:iam::{FRIEND}:role/app"),
    when("ForAnyValue:StringLike", "aws:PrincipalOrgPaths", "o-abcdefghij/r-ab12/ou-ab12-11111111/*"),
    when("IpAddress", "aws:SourceIp", "203.0.113.0/24", "10.0.0.0/8", "2001:db8::/32"),
    when("IpAddress", "aws:SourceIp", "203.0.113.7"),
    {"Condition": {"StringEquals": {"aws:SourceVpc": "vpc-1"}, "Bool": {"aws:SecureTransport": "true"}}},
    {"Condition": {"StringEqualsIfExists": {"aws:SourceVpc": "vpc-1"}, "Null": {"aws:sourcevpc": False}}},
    {"Condition": {"ForAllValues:StringEquals": {"aws:SourceVpc": "vpc-1"}, "Null": {"aws:SourceVpc": "false"}}},
]
LOOSE = [
    {},
    {"Condition": {}},
    when("StringEqualsIfExists", "aws:SourceVpc", "vpc-111bbb22"),
    when("ForAllValues:StringEquals", "aws:SourceVpc", "vpc-111bbb22"),
    when("ForAllValues:StringLike", "aws:PrincipalOrgPaths", "o-abcdefghij/*"),
    {"Condition": {"StringEqualsIfExists": {"aws:SourceVpc": "vpc-1"}, "Null": {"aws:SourceVpc": ["true", "false"]}}},
    {"Condition": {"StringEqualsIfExists": {"aws:SourceVpc": "vpc-1"}, "Null": {"aws:SourceVpce": "false"}}},
    when("Null", "aws:SourceVpc", "false"),
    when("StringLike", "aws:SourceVpc", "*"),
    when("StringLike", "aws:SourceVpc", "vpc-*"),
    when("StringLike", "aws:PrincipalOrgID", "o-?*"),
    when("StringEquals", "aws:SourceVpc", "vpc-111bbb22", "*"),
    when("StringEquals", "aws:SourceVpc", "${aws:PrincipalTag/vpc}"),
    when("StringEquals", "aws:PrincipalAccount", "${aws:PrincipalAccount}"),
    when("StringNotEquals", "aws:SourceVpc", "vpc-111bbb22"),
    when("StringNotEquals", "aws:PrincipalAccount", FRIEND),
    when("ArnNotLike", "aws:PrincipalArn", f"arn:aws:iam::{FRIEND}:role/*"),
    when("NotIpAddress", "aws:SourceIp", "203.0.113.0/24"),
    when("ArnLike", "aws:SourceArn", "arn:aws:sns:*:*:*"),
    when("ArnLike", "aws:SourceArn", "arn:aws:sns:*:44445555????:*"),
    when("ArnLike", "aws:SourceArn", "arn:aws:s3:::*"),
    when("ArnLike", "aws:SourceArn", "arn:aws:*:::bucket"),
    when("ArnLike", "aws:SourceArn", "*"),
    when("StringLike", "aws:SourceArn", f"arn:aws:sns:*:{FRIEND}:*"),
    when("StringLike", "aws:PrincipalArn", "arn:aws:iam::*:role/app"),
    when("StringLike", "aws:userid", "*:now"),
    when("StringLike", "aws:userid", "AROA*"),
    when("ForAnyValue:StringLike", "aws:PrincipalOrgPaths", "*/r-ab12/*"),
    when("IpAddress", "aws:SourceIp", "0.0.0.0/0"),
    when("IpAddress", "aws:SourceIp", "0.0.0.0/1", "128.0.0.0/1"),
    when("IpAddress", "aws:SourceIp", "203.0.113.0/24", "::/0"),
    when("IpAddress", "aws:SourceIp", *[f"{number}.0.0.0/8" for number in range(256)]),
    when("IpAddress", "aws:VpcSourceIp", "10.0.0.0/8"),
    when("Bool", "aws:SecureTransport", "true"),
    when("Bool", "aws:PrincipalIsAWSService", True),
    when("DateLessThan", "aws:CurrentTime", "2099-01-01T00:00:00Z"),
    when("StringEquals", "aws:PrincipalTag/team", "red"),
    when("StringEquals", "aws:ResourceTag/team", "red"),
    when("StringEquals", "aws:ResourceAccount", OWN),
    when("StringEquals", "aws:Referer", "https://example.com"),
    when("StringEquals", "secretsmanager:VersionStage", "AWSCURRENT"),
]


@pytest.mark.parametrize("condition", HOLDING)
def test_a_condition_that_fixed_values_alone_meet_holds_everybody(condition: dict[str, Any]) -> None:
    assert not grants_broad_access(document({**EVERYBODY, **condition}))
    assert not grants_broad_access(document({"Principal": {"Service": "sns.amazonaws.com"}, **condition}))


@pytest.mark.parametrize("condition", LOOSE)
def test_a_condition_that_strangers_meet_holds_nobody(condition: dict[str, Any]) -> None:
    assert grants_broad_access(document({**EVERYBODY, **condition}))
    assert grants_broad_access(document({**EVERYBODY, "Sid": "1", **HOLDING[0]}, {**EVERYBODY, **condition}))


def test_a_text_that_looks_like_a_wildcard_is_none() -> None:
    """A star in a Sid, a resource or an action says nothing about who is meant."""
    named = {"Principal": {"AWS": OWN}, "Sid": "*", "Resource": "*", "Action": "*"}
    assert not grants_broad_access(document(named))


DENY: dict[str, Any] = {"Effect": "Deny", "Principal": {"AWS": "*"}}
NARROWING = [
    DENY,
    {**DENY, **when("StringNotEquals", "aws:SourceVpce", "vpce-1a2b3c4d")},
    {**DENY, **when("StringNotEqualsIfExists", "aws:SourceVpce", "vpce-1a2b3c4d")},
    {**DENY, "Action": "*", **when("ArnNotLike", "aws:PrincipalArn", f"arn:aws:iam::{FRIEND}:role/*")},
    {**DENY, "Action": [READ.upper()], **when("NotIpAddress", "aws:SourceIp", "203.0.113.0/24")},
    {"Effect": "Deny", "NotPrincipal": {"AWS": [FRIEND, f"arn:aws:iam::{FRIEND}:role/app"]}},
]
NOT_NARROWING = [
    {**DENY, "Action": "secretsmanager:DeleteSecret"},
    {**DENY, "Resource": "arn:aws:secretsmanager:*:*:secret:other-??????"},
    {**DENY, "Principal": {"AWS": FRIEND}},
    {**DENY, "NotAction": READ},
    {**DENY, **when("StringEquals", "aws:SourceVpce", "vpce-1a2b3c4d")},
    {**DENY, **when("StringNotLike", "aws:SourceVpce", "vpce-*")},
    {**DENY, **when("ForAnyValue:StringNotEquals", "aws:SourceVpce", "vpce-1a2b3c4d")},
    {**DENY, **when("Bool", "aws:SecureTransport", "false")},
    {**DENY, **when("NotIpAddress", "aws:SourceIp", "0.0.0.0/0")},
    {**DENY, "Condition": {"StringNotEquals": {"aws:SourceVpce": "vpce-1", "aws:SourceVpc": "vpc-1"}}},
    {"Effect": "Deny", "NotPrincipal": {"AWS": "*"}},
    {"Effect": "Deny", "NotPrincipal": {"AWS": FRIEND}, **when("Bool", "aws:SecureTransport", "false")},
    {"Effect": "Deny", "NotPrincipal": {"Service": "sns.amazonaws.com"}},
]


@pytest.mark.parametrize("denial", NARROWING)
def test_a_denial_may_hold_what_an_allow_does_not(denial: dict[str, Any]) -> None:
    assert not grants_broad_access(document({**EVERYBODY, "Action": READ}, denial))


@pytest.mark.parametrize("denial", NOT_NARROWING)
def test_a_denial_that_spares_strangers_holds_nobody(denial: dict[str, Any]) -> None:
    assert grants_broad_access(document({**EVERYBODY, "Action": READ}, denial))


# -- nobody passes ----------------------------------------------------------------------------------------------------

STRANGER = PolicyPrincipal("IAMUser", "999988887777", "arn:aws:iam::999988887777:user/eve", "AIDASTRANGERSTRANGER")
WORN: dict[str, list[tuple[str, ...]]] = {
    "aws:SourceVpc": [("vpc-999",)],
    "aws:SourceVpce": [("vpce-999",)],
    "aws:SourceIp": [("192.0.2.9",), ("2001:dead::9",)],
    "aws:SecureTransport": [("true",), ("false",)],
    "aws:PrincipalTag/vpc": [("vpc-999",)],
    "aws:SourceArn": [("arn:aws:sns:eu-west-1:999988887777:x",), (f"arn:aws:x:eu-west-1:999988887777:{FRIEND}:y",)],
    "aws:SourceAccount": [("999988887777",)],
    "aws:PrincipalOrgPaths": [("o-zzzzzzzzzz/r-ab12/",)],
    "aws:PrincipalOrgID": [("o-zzzzzzzzzz",)],
}
CIRCUMSTANCES = st.fixed_dictionaries({}, optional={key: st.sampled_from(values) for key, values in WORN.items()})
STATEMENTS = st.one_of(
    st.builds(lambda condition: {**EVERYBODY, **condition}, st.sampled_from(HOLDING + LOOSE)),
    st.sampled_from(NARROWING + NOT_NARROWING),
    st.sampled_from([{"Principal": {"AWS": FRIEND}}, {"Principal": {"AWS": f"arn:aws:iam::{OWN}:role/app"}}]),
)


@settings(max_examples=400)
@given(st.lists(STATEMENTS, min_size=1, max_size=4), CIRCUMSTANCES)
def test_no_stranger_passes_a_policy_that_is_not_broad(
    statements: list[dict[str, Any]], circumstances: dict[str, tuple[str, ...]]
) -> None:
    text = document(*statements)
    about = {
        "aws:PrincipalAccount": (STRANGER.account,),
        "aws:PrincipalArn": (STRANGER.arn,),
        "aws:userid": (STRANGER.unique_id,),
    }
    everything = compile_policy(
        '{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}', PolicyKind.IDENTITY
    )
    asked = Asked(STRANGER, READ, SECRET, OWN, Context(circumstances, about))
    passes = decide(asked, Standing(identity=(everything,), resource=compile_policy(text, PolicyKind.RESOURCE))).allowed
    assert grants_broad_access(text) or not passes


# -- what else a document says ----------------------------------------------------------------------------------------


def test_foreign_actions_are_those_of_other_services() -> None:
    own = ["*", "secretsmanager:*", "SecretsManager:Get*", READ]
    assert foreign_actions(document({**EVERYBODY, "Action": own})) == []
    assert foreign_actions(document({**EVERYBODY, "Action": [*own, "kms:Decrypt"]})) == ["kms:Decrypt"]
    assert foreign_actions(document({**EVERYBODY, "NotAction": "s3:*"}, EVERYBODY)) == ["s3:*"]


def test_services_are_found_wherever_they_are_named() -> None:
    text = document(
        {"Principal": {"Service": "a.amazonaws.com"}},
        {"Effect": "Deny", "NotPrincipal": {"Service": ["b.amazonaws.com", "c.amazonaws.com"]}},
        EVERYBODY,
    )
    assert service_principals(text) == ["a.amazonaws.com", "b.amazonaws.com", "c.amazonaws.com"]
