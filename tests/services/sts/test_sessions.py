"""Temporary credentials: who gets them, what they allow, and when they are over."""

import base64
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geumgo.context import Caller
from geumgo.errors import AccessDenied, ExpiredToken, ServiceError, UnrecognizedClient, ValidationFailed
from geumgo.services.iam.bootstrap import create_account
from geumgo.services.iam.revocation import revoke_sessions
from geumgo.services.sts import domain
from geumgo.services.sts.errors import (
    Denied,
    InvalidParameterValue,
    MalformedPolicyDocument,
    PackedPolicyTooLarge,
    ValidationError,
)
from tests.services.iam.world import ACCOUNT, OTHER_ACCOUNT, World, allow, deny, policy, trusting

ROOT = {"AWS": ACCOUNT}


def test_everybody_who_is_signed_in_may_know_who_he_is(world: World):
    ann = world.user("ann", deny("*"))
    assert world.sts("GetCallerIdentity", ann) == {"UserId": ann.unique_id, "Account": ACCOUNT, "Arn": ann.arn}


def test_a_session_is_the_role_and_not_the_caller(world_on_each_engine: World):
    world = world_on_each_engine
    arn = world.role("app", trusting(ROOT), allow("iam:ListRoles"), Path="/svc/")
    ann = world.user("ann", allow("sts:AssumeRole", "iam:ListUsers"))
    answer = world.sts("AssumeRole", ann, RoleArn=arn, RoleSessionName="s-1")
    role_id = world.ask("GetRole", RoleName="app")["Role"]["RoleId"]
    assert answer["AssumedRoleUser"] == {
        "Arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/app/s-1",
        "AssumedRoleId": f"{role_id}:s-1",
    }
    assert answer["Credentials"]["AccessKeyId"].startswith("ASIA")
    session = world.caller_with(answer["Credentials"])
    assert (session.kind, session.arn, session.unique_id) == (
        "AssumedRole",
        answer["AssumedRoleUser"]["Arn"],
        f"{role_id}:s-1",
    )
    assert session.session is not None
    assert session.session.issuer_arn == arn
    assert world.may(session, "ListRoles")
    assert not world.may(session, "ListUsers")
    assert "RoleLastUsed" in world.ask("GetRole", RoleName="app")["Role"]
    assert world.ask("GetRole", RoleName="app")["Role"]["RoleLastUsed"]["Region"] == "us-east-1"


def test_both_the_trust_policy_and_the_callers_own_must_agree(world: World):
    ann = world.user("ann", allow("sts:AssumeRole"))
    bob = world.user("bob")
    open_to_account = world.role("a", trusting(ROOT))
    names_bob = world.role("b", trusting({"AWS": bob.arn}))
    closed = world.role("c", trusting({"Service": "lambda.amazonaws.com"}))
    world.assume(open_to_account, ann)
    world.assume(names_bob, bob)
    for arn, caller in (
        (open_to_account, bob),
        (names_bob, ann),
        (closed, ann),
        (f"arn:aws:iam::{ACCOUNT}:role/none", ann),
    ):
        with pytest.raises(AccessDenied, match=f"is not authorized to perform: sts:AssumeRole on resource: {arn}"):
            world.assume(arn, caller)


def test_a_service_takes_the_role_that_trusts_it(world: World):
    arn = world.role("fn", trusting({"Service": "lambda.amazonaws.com"}), allow("iam:ListUsers"))
    host = "lambda.amazonaws.com"
    service = Caller("AWSService", ACCOUNT, host, host, host)
    assert world.may(world.assume(arn, service), "ListUsers")
    other = Caller("AWSService", ACCOUNT, "rds.amazonaws.com", "rds.amazonaws.com", "rds.amazonaws.com")
    with pytest.raises(AccessDenied):
        world.assume(arn, other)


def test_another_account_needs_consent_on_both_sides(world: World):
    with world.storage.writing() as tx:
        key = create_account(tx, world.sealing, OTHER_ACCOUNT, 0)
    outside = world.caller_of(key.access_key_id)
    closed = world.role("closed", trusting(ROOT))
    opened = world.role("opened", trusting({"AWS": OTHER_ACCOUNT}))
    with pytest.raises(AccessDenied):
        world.assume(closed, outside)
    assert world.assume(opened, outside).account == ACCOUNT


def test_an_external_id_must_be_the_agreed_one(world: World):
    condition = {"StringEquals": {"sts:ExternalId": "deal-7"}}
    arn = world.role("app", trusting(ROOT, Condition=condition))
    with pytest.raises(AccessDenied):
        world.assume(arn)
    with pytest.raises(AccessDenied):
        world.assume(arn, ExternalId="deal-8")
    world.assume(arn, ExternalId="deal-7")


# -- the end of sessions --------------------------------------------------------------------------------------------------


def test_a_session_ends_at_its_time(world: World):
    arn = world.role("app", trusting(ROOT))
    credentials = world.sts("AssumeRole", RoleArn=arn, RoleSessionName="s1", DurationSeconds=900)["Credentials"]
    world.clock.turn(ms=899_999)
    world.caller_with(credentials)
    world.clock.turn(ms=1)
    with pytest.raises(ExpiredToken, match=r"^The security token included in the request is expired$"):
        world.caller_with(credentials)


def test_a_re_created_role_does_not_honour_an_old_session(world: World):
    arn = world.role("app", trusting(ROOT))
    credentials = world.sts("AssumeRole", RoleArn=arn, RoleSessionName="s1")["Credentials"]
    old = world.caller_with(credentials)
    world.ask("DeleteRole", RoleName="app")
    assert world.find(credentials["AccessKeyId"], credentials["SessionToken"]) is None
    assert world.role("app", trusting(ROOT), allow("iam:*")) == arn
    assert world.find(credentials["AccessKeyId"], credentials["SessionToken"]) is None
    assert not world.may(old, "ListUsers")


def test_a_role_that_trusts_a_user_does_not_trust_the_next_of_that_name(world: World):
    world.user("ann")
    arn = world.role("app", trusting({"AWS": f"arn:aws:iam::{ACCOUNT}:user/ann"}))
    key = world.ask("ListAccessKeys", UserName="ann")["AccessKeyMetadata"][0]["AccessKeyId"]
    world.ask("DeleteAccessKey", UserName="ann", AccessKeyId=key)
    world.ask("DeleteUser", UserName="ann")
    shown = world.ask("GetRole", RoleName="app")["Role"]["AssumeRolePolicyDocument"]
    assert "AIDA" in shown
    again = world.user("ann")
    with pytest.raises(AccessDenied):
        world.assume(arn, again)


def test_rights_taken_from_a_role_are_taken_from_its_sessions_at_once(world: World):
    session = world.assume(world.role("app", trusting(ROOT), allow("iam:ListUsers")))
    assert world.may(session, "ListUsers")
    world.ask("DeleteRolePolicy", RoleName="app", PolicyName="p0")
    assert not world.may(session, "ListUsers")


def test_revoked_sessions_are_over_and_new_ones_are_not(world: World):
    arn = world.role("app", trusting(ROOT))
    old = world.sts("AssumeRole", RoleArn=arn, RoleSessionName="s1")["Credentials"]
    world.clock.turn(ms=1)
    with world.storage.writing() as tx:
        revoke_sessions(tx, world.sealing, arn, world.clock.now_ms())
    assert world.find(old["AccessKeyId"], old["SessionToken"]) is None
    world.assume(arn)


@pytest.mark.parametrize("operation", ["DeleteAccessKey", "UpdateAccessKey"])
def test_a_session_of_a_users_key_dies_with_the_key(world: World, operation: str):
    ann = world.user("ann", allow("sts:GetFederationToken"))
    tokens = [
        world.sts("GetSessionToken", ann)["Credentials"],
        world.sts("GetFederationToken", ann, Name="bob")["Credentials"],
    ]
    for credentials in tokens:
        world.caller_with(credentials)
    more: dict[str, Any] = {"Status": "Inactive"} if operation == "UpdateAccessKey" else {}
    world.ask(operation, UserName="ann", AccessKeyId=ann.access_key_id, **more)
    for credentials in tokens:
        assert world.find(credentials["AccessKeyId"], credentials["SessionToken"]) is None


def test_a_token_belongs_to_one_key_and_one_site(world: World):
    arn = world.role("app", trusting(ROOT))
    one = world.sts("AssumeRole", RoleArn=arn, RoleSessionName="s1")["Credentials"]
    two = world.sts("AssumeRole", RoleArn=arn, RoleSessionName="s1")["Credentials"]
    assert world.find(one["AccessKeyId"], two["SessionToken"]) is None
    assert world.find(one["AccessKeyId"], None) is None
    assert world.find(one["AccessKeyId"], "") is None
    assert world.find(one["AccessKeyId"], "kein Base64") is None
    assert world.find(one["AccessKeyId"], "A" * 5000) is None
    assert one["SecretAccessKey"] not in base64.b64decode(one["SessionToken"]).decode("latin-1")


def test_no_single_changed_byte_of_a_token_is_accepted(world: World):
    arn = world.role("app", trusting(ROOT))
    made = world.sts("AssumeRole", RoleArn=arn, RoleSessionName="s1")["Credentials"]
    token = base64.b64decode(made["SessionToken"])
    for place in range(len(token)):
        changed = bytearray(token)
        changed[place] ^= 1
        assert world.find(made["AccessKeyId"], base64.b64encode(bytes(changed)).decode()) is None


# -- session policies, tags, identity -----------------------------------------------------------------------------------


def test_a_session_policy_limits_and_gives_nothing(world: World):
    arn = world.role("app", trusting(ROOT), allow("iam:ListUsers", "iam:ListRoles"))
    session = world.assume(arn, Policy=allow("iam:ListUsers", "iam:ListGroups"))
    assert world.may(session, "ListUsers")
    assert not world.may(session, "ListRoles")
    assert not world.may(session, "ListGroups")


def test_a_managed_session_policy_counts_as_it_is_now(world: World):
    made = world.ask("CreatePolicy", PolicyName="p", PolicyDocument=allow("iam:ListUsers"))["Policy"]["Arn"]
    arn = world.role("app", trusting(ROOT), allow("iam:*"))
    credentials = world.sts("AssumeRole", RoleArn=arn, RoleSessionName="s1", PolicyArns=[{"arn": made}])["Credentials"]
    assert world.may(world.caller_with(credentials), "ListUsers")
    assert not world.may(world.caller_with(credentials), "ListRoles")
    world.ask("DeletePolicy", PolicyArn=made)
    assert not world.may(world.caller_with(credentials), "ListUsers")


def test_session_tags_are_principal_tags_and_override_the_roles(world: World):
    arn = world.role("app", trusting(ROOT), Tags=[{"Key": "team", "Value": "db"}, {"Key": "cost", "Value": "7"}])
    session = world.assume(arn, Tags=[{"Key": "Team", "Value": "web"}])
    assert session.tags == {"cost": "7", "Team": "web"}


def test_transitive_tags_travel_on_and_cannot_be_changed(world: World):
    first = world.role("first", trusting(ROOT), allow("sts:*"))
    second = world.role("second", trusting(ROOT))
    tags = [{"Key": "team", "Value": "web"}, {"Key": "cost", "Value": "7"}]
    session = world.assume(first, Tags=tags, TransitiveTagKeys=["TEAM"])
    assert world.assume(second, session).tags == {"team": "web"}
    with pytest.raises(
        InvalidParameterValue, match=r"^One of the specified transitive tag keys can't be set because it conflicts"
    ):
        world.assume(second, session, Tags=[{"Key": "Team", "Value": "db"}])


def test_tagging_a_session_needs_its_own_permission(world: World):
    arn = world.role("app", trusting(ROOT, "sts:AssumeRole"))
    ann = world.user("ann", allow("sts:AssumeRole"))
    world.assume(arn, ann)
    with pytest.raises(AccessDenied, match="sts:TagSession"):
        world.assume(arn, ann, Tags=[{"Key": "a", "Value": "b"}])
    with pytest.raises(AccessDenied, match="sts:SetSourceIdentity"):
        world.assume(arn, ann, SourceIdentity="ann@example")


def test_a_source_identity_stays_through_every_session(world: World):
    first = world.role("first", trusting(ROOT), allow("sts:*"))
    second = world.role("second", trusting(ROOT))
    session = world.assume(first, SourceIdentity="ann@example")
    chained = world.assume(second, session)
    assert chained.session is not None
    assert chained.session.source_identity == "ann@example"
    with pytest.raises(Denied):
        world.assume(second, session, SourceIdentity="bob@example")


def test_a_long_lasting_chain_is_refused(world: World):
    first = world.role("first", trusting(ROOT), allow("sts:*"), MaxSessionDuration=43_200)
    second = world.role("second", trusting(ROOT), MaxSessionDuration=43_200)
    session = world.assume(first, DurationSeconds=43_200)
    with pytest.raises(
        ValidationError, match=r"^The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by"
    ):
        world.assume(second, session, DurationSeconds=3601)
    world.assume(second, session, DurationSeconds=3600)


ROLE = f"arn:aws:iam::{ACCOUNT}:role/app"
REFUSALS: list[tuple[dict[str, object], type[ServiceError], str]] = [
    ({"RoleArn": "nothing-valid-in-here"}, ValidationError, "nothing-valid-in-here is invalid"),
    ({"RoleArn": "arn::b:::something/test-role"}, ValidationError, "arn::b:::something/test-role is invalid"),
    ({"RoleArn": "arn:a::::something/test-role"}, ValidationError, "arn:a::::something/test-role is invalid"),
    ({"RoleArn": "arn:a:::something/test-role"}, ValidationError, "arn:a:::something/test-role is invalid"),
    ({"RoleArn": "arn:a:a::aaaaaaaaaa:"}, ValidationError, "arn:a:a::aaaaaaaaaa: is invalid"),
    (
        {"RoleSessionName": "Session1:2"},
        ValidationFailed,
        (
            "1 validation error detected: Value 'Session1:2' at 'roleSessionName' failed to satisfy constraint: "
            r"Member must satisfy regular expression pattern: [\w+=,.@-]*"
        ),
    ),
    (
        {"DurationSeconds": 3601},
        ValidationError,
        "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.",
    ),
    (
        {"Policy": "x" * 65_537},
        PackedPolicyTooLarge,
        "Packed policy consumes 3200% of allotted space, please use smaller policy.",
    ),
    (
        {"Policy": "\u4e2d"},
        ValidationError,
        (
            "1 validation error detected: Value at 'policy' failed to satisfy constraint: "
            r"Member must satisfy regular expression pattern: [\u0009\u000A\u000D\u0020-\u00FF]+"
        ),
    ),
    ({"Policy": "{"}, MalformedPolicyDocument, "Syntax errors in policy."),
    (
        {"PolicyArns": [{"arn": f"arn:aws:iam::{ACCOUNT}:policy/none"}]},
        ValidationError,
        f"arn:aws:iam::{ACCOUNT}:policy/none is invalid",
    ),
    (
        {"Tags": [{"Key": "a", "Value": "1"}, {"Key": "A", "Value": "2"}]},
        InvalidParameterValue,
        "Duplicate tag keys found. Please note that Tag keys are case insensitive.",
    ),
    (
        {"Tags": [{"Key": "a", "Value": "1"}], "TransitiveTagKeys": ["b"]},
        InvalidParameterValue,
        "The specified transitive tag key must be included in the requested tags.",
    ),
    (
        {"SerialNumber": f"arn:aws:iam::{ACCOUNT}:mfa/a", "TokenCode": "123456"},
        Denied,
        "MultiFactorAuthentication failed with invalid MFA one time pass code.",
    ),
]


@pytest.mark.parametrize(("params", "kind", "sentence"), REFUSALS)
def test_refusals_are_in_awss_words(world: World, params, kind, sentence):
    world.role("app", trusting(ROOT))
    with pytest.raises(kind) as refusal:
        world.sts("AssumeRole", **{"RoleArn": ROLE, "RoleSessionName": "s1", **params})
    assert refusal.value.message == sentence


def test_what_does_not_fit_into_a_token_is_refused(world: World):
    dice = random.Random(7)
    world.role("app", trusting(ROOT), MaxSessionDuration=3600)
    tags = [{"Key": f"k{n}", "Value": "".join(dice.choices("abcdefghijklmnopqrstuvwxyz", k=256))} for n in range(20)]
    with pytest.raises(PackedPolicyTooLarge, match=r"^Packed size of session tags consumes \d+% of allotted space\.$"):
        world.sts("AssumeRole", RoleArn=ROLE, RoleSessionName="s1", Tags=tags)
    names = ["iam:" + "".join(dice.choices("abcdefghijklmnopqrstuvwxyz", k=60)) for _ in range(90)]
    with pytest.raises(
        PackedPolicyTooLarge, match=r"^Packed policy consumes \d+% of allotted space, please use smaller policy\.$"
    ):
        world.sts(
            "AssumeRole",
            RoleArn=ROLE,
            RoleSessionName="s1",
            Policy=policy({"Effect": "Allow", "Action": names, "Resource": "*"}),
        )


def test_the_largest_session_still_fits_into_a_header(world: World):
    dice = random.Random(7)
    arn = world.role("app", trusting(ROOT))
    tags = [
        {"Key": f"k{n}", "Value": "".join(dice.choices("abcdefghijklmnopqrstuvwxyz0123456789", k=256))}
        for n in range(10)
    ]
    answer = world.sts("AssumeRole", RoleArn=arn, RoleSessionName="s" * 64, Tags=tags, SourceIdentity="i" * 64)
    assert 80 < answer["PackedPolicySize"] <= 100
    assert answer["SessionTokenSize"] == len(answer["Credentials"]["SessionToken"]) <= 4096
    assert world.caller_with(answer["Credentials"]).tags == {tag["Key"]: tag["Value"] for tag in tags}


def test_a_token_is_as_long_as_it_was_asked_to_be(world: World):
    arn = world.role("app", trusting(ROOT))
    answer = world.sts("AssumeRole", RoleArn=arn, RoleSessionName="s1", MinimumSessionTokenSize=3000)
    assert 3000 <= answer["SessionTokenSize"] <= 4096
    world.caller_with(answer["Credentials"])


# -- GetSessionToken, GetFederationToken -----------------------------------------------------------------------------------


def test_a_session_token_is_the_user_but_for_iam(world: World):
    ann = world.user("ann", allow("iam:*", "sts:*"))
    session = world.caller_with(world.sts("GetSessionToken", ann)["Credentials"])
    assert (session.kind, session.arn, session.unique_id) == ("IAMUser", ann.arn, ann.unique_id)
    with pytest.raises(UnrecognizedClient, match=r"^The security token included in the request is invalid.$"):
        world.ask("ListUsers", session)
    world.assume(world.role("app", trusting(ROOT)), session)
    assert world.sts("GetCallerIdentity", session)["Arn"] == ann.arn
    for operation, params in (
        ("GetSessionToken", {}),
        ("GetFederationToken", {"Name": "bob"}),
        ("GetAccessKeyInfo", {"AccessKeyId": "A" * 20}),
    ):
        with pytest.raises(Denied, match=f"^Cannot call {operation} with session credentials$"):
            world.sts(operation, session, **params)


def test_a_session_token_lasts_twelve_hours_and_at_most_thirty_six(world: World):
    ann = world.user("ann")
    made = world.sts("GetSessionToken", ann)["Credentials"]
    assert made["Expiration"].timestamp() * 1000 == world.clock.now_ms() + 12 * 3_600_000
    world.sts("GetSessionToken", ann, DurationSeconds=129_600)
    with pytest.raises(ValidationFailed):
        world.sts("GetSessionToken", ann, DurationSeconds=129_601)


def test_a_federated_user_has_what_both_sides_allow(world: World):
    ann = world.user("ann", allow("sts:GetFederationToken", "iam:ListUsers"))
    answer = world.sts("GetFederationToken", ann, Name="bob", Policy=allow("iam:ListUsers", "iam:ListRoles"))
    assert answer["FederatedUser"] == {
        "Arn": f"arn:aws:sts::{ACCOUNT}:federated-user/bob",
        "FederatedUserId": f"{ACCOUNT}:bob",
    }
    bob = world.caller_with(answer["Credentials"])
    with world.storage.reading() as tx:
        found = world.rights.of(tx, bob)
    assert found.session is not None
    assert len(found.session) == 1
    with pytest.raises(UnrecognizedClient):
        world.ask("ListUsers", bob)
    with pytest.raises(Denied):
        world.assume(world.role("app", trusting(ROOT)), bob)


def test_a_federated_user_without_a_session_policy_has_nothing(world: World):
    ann = world.user("ann", allow("*"))
    bob = world.caller_with(world.sts("GetFederationToken", ann, Name="bob")["Credentials"])
    with world.storage.reading() as tx:
        assert world.rights.of(tx, bob).session == ()


def test_a_federation_token_needs_permission(world: World):
    with pytest.raises(
        AccessDenied, match=f"sts:GetFederationToken on resource: arn:aws:sts::{ACCOUNT}:federated-user/bob"
    ):
        world.sts("GetFederationToken", world.user("ann"), Name="bob")


def test_root_assumes_no_role(world: World):
    arn = world.role("app", trusting(ROOT))
    root = Caller("Root", ACCOUNT, f"arn:aws:iam::{ACCOUNT}:root", ACCOUNT)
    with pytest.raises(Denied, match=r"^Roles may not be assumed by root accounts.$"):
        world.assume(arn, root)


def test_a_key_id_names_its_account(world: World):
    assert world.sts("GetAccessKeyInfo", AccessKeyId=world.first.access_key_id) == {"Account": ACCOUNT}
    with pytest.raises(ValidationError):
        world.sts("GetAccessKeyInfo", AccessKeyId="0" * 20)


@given(
    policy=st.one_of(st.none(), st.just('{"Version": "2012-10-17", "Statement": []}')),
    arns=st.lists(st.text(max_size=20), max_size=3),
    tags=st.dictionaries(st.text(max_size=8), st.text(max_size=20), max_size=5),
)
@settings(max_examples=200)
def test_what_is_packed_comes_out_as_it_went_in(policy, arns, tags):
    packed = domain.pack(policy, arns, tags)
    found = domain.unpack(packed)
    assert found[1:] == (tuple(arns), tags)
    assert found[0] == policy


@given(
    st.dictionaries(st.text(alphabet="abAB", min_size=1, max_size=2), st.text(max_size=2), max_size=4),
    st.dictionaries(st.text(alphabet="abAB", min_size=1, max_size=2), st.text(max_size=2), max_size=4),
)
def test_a_tag_key_is_one_key_whatever_its_case(own, session):
    session = {
        key: value for key, value in session.items() if sum(other.lower() == key.lower() for other in session) == 1
    }
    found = domain.principal_tags(own, session)
    assert all(found[key] == value for key, value in session.items())
    assert not {key.lower() for key in found if key not in session} & {key.lower() for key in session}
