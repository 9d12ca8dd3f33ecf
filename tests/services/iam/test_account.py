"""Passwords, providers, the account's figures, reports and simulations."""

import base64
import csv
import io
import json

import pytest
from joserfc.jwk import OctKey, RSAKey

from geumgo.services.iam import jwks
from geumgo.services.iam.context_keys import context_keys
from geumgo.services.iam.errors import (
    EntityAlreadyExists,
    InvalidInput,
    InvalidUserType,
    LimitExceeded,
    NoSuchEntity,
    PasswordPolicyViolation,
    ReportExpired,
    ReportNotPresent,
    ValidationError,
)
from geumgo.services.iam.reports import COLUMNS
from tests.services.iam.world import ACCOUNT, World, allow, deny, policy, trusting

GOOD = "Correct-Horse-9"


def test_a_password_is_kept_as_a_hash_alone(world: World):
    world.ask("CreateUser", UserName="ann")
    made = world.ask("CreateLoginProfile", UserName="ann", Password=GOOD, PasswordResetRequired=True)["LoginProfile"]
    assert made["PasswordResetRequired"] is True
    with world.storage.reading() as tx:
        row = tx.one("SELECT hashed, earlier FROM iam_login")
    assert row is not None
    assert row[0].startswith("argon2id$")
    assert GOOD not in str(row)
    with pytest.raises(EntityAlreadyExists, match=r"^Login Profile for user ann already exists\.$"):
        world.ask("CreateLoginProfile", UserName="ann", Password=GOOD)


def test_a_user_changes_his_own_password_and_nobody_elses(world: World):
    ann = world.user("ann", allow("iam:ChangePassword", resource=f"arn:aws:iam::{ACCOUNT}:user/${{aws:username}}"))
    world.ask("CreateLoginProfile", UserName="ann", Password=GOOD, PasswordResetRequired=True)
    with pytest.raises(InvalidInput):
        world.ask("ChangePassword", ann, OldPassword="wrong", NewPassword="Another-Horse-9")
    world.ask("ChangePassword", ann, OldPassword=GOOD, NewPassword="Another-Horse-9")
    assert world.ask("GetLoginProfile", UserName="ann")["LoginProfile"]["PasswordResetRequired"] is False
    session = world.assume(world.role("r", trusting({"AWS": ACCOUNT}), allow("*")))
    with pytest.raises((InvalidUserType, ValidationError)):
        world.ask("ChangePassword", session, OldPassword=GOOD, NewPassword="Another-Horse-9")


def test_passwords_follow_the_rules_of_the_account(world: World):
    world.ask("CreateUser", UserName="ann")
    for weak in ("short", "alllowercase", "alllower1case"):
        with pytest.raises(PasswordPolicyViolation) as refusal:
            world.ask("CreateLoginProfile", UserName="ann", Password=weak)
        assert weak not in refusal.value.message
    world.ask(
        "UpdateAccountPasswordPolicy",
        MinimumPasswordLength=12,
        RequireSymbols=True,
        PasswordReusePrevention=2,
        MaxPasswordAge=90,
    )
    with pytest.raises(PasswordPolicyViolation, match="symbol"):
        world.ask("CreateLoginProfile", UserName="ann", Password="longenough123")
    world.ask("CreateLoginProfile", UserName="ann", Password="first-password")
    world.ask("UpdateLoginProfile", UserName="ann", Password="second-password")
    for used in ("second-password", "first-password"):
        with pytest.raises(PasswordPolicyViolation):
            world.ask("UpdateLoginProfile", UserName="ann", Password=used)
    shown = world.ask("GetAccountPasswordPolicy")["PasswordPolicy"]
    assert (shown["ExpirePasswords"], shown["MaxPasswordAge"], shown["RequireNumbers"]) == (True, 90, False)
    world.ask("DeleteAccountPasswordPolicy")
    with pytest.raises(NoSuchEntity, match=rf"^The Password Policy with domain name {ACCOUNT} cannot be found\.$"):
        world.ask("GetAccountPasswordPolicy")
    with pytest.raises(NoSuchEntity, match=r"^The account policy with name PasswordPolicy cannot be found\.$"):
        world.ask("DeleteAccountPasswordPolicy")


def test_an_update_without_members_gives_awss_defaults(world: World):
    world.ask("UpdateAccountPasswordPolicy")
    assert world.ask("GetAccountPasswordPolicy")["PasswordPolicy"] == {
        "AllowUsersToChangePassword": False,
        "ExpirePasswords": False,
        "MinimumPasswordLength": 6,
        "RequireLowercaseCharacters": False,
        "RequireNumbers": False,
        "RequireSymbols": False,
        "RequireUppercaseCharacters": False,
    }


def test_an_account_has_one_alias(world: World):
    world.ask("CreateAccountAlias", AccountAlias="acme")
    world.ask("CreateAccountAlias", AccountAlias="acme-two")
    assert world.ask("ListAccountAliases")["AccountAliases"] == ["acme-two"]
    with pytest.raises(NoSuchEntity):
        world.ask("DeleteAccountAlias", AccountAlias="acme")
    world.ask("DeleteAccountAlias", AccountAlias="acme-two")
    assert world.ask("ListAccountAliases")["AccountAliases"] == []


def test_the_summary_counts(world: World):
    world.role("app", trusting({"AWS": ACCOUNT}))
    shown = world.ask("GetAccountSummary")["SummaryMap"]
    assert (shown["Users"], shown["Roles"], shown["Groups"], shown["AccessKeysPerUserQuota"]) == (1, 1, 0, 2)


# -- providers ---------------------------------------------------------------------------------------------------------------

URL = "https://id.example.com/tenant"
ARN = f"arn:aws:iam::{ACCOUNT}:oidc-provider/id.example.com/tenant"


def test_a_provider_is_shown_as_it_was_made(world: World):
    made = world.ask("CreateOpenIDConnectProvider", Url=URL, ClientIDList=["a"], ThumbprintList=["b" * 40])
    assert made["OpenIDConnectProviderArn"] == ARN
    world.ask("AddClientIDToOpenIDConnectProvider", OpenIDConnectProviderArn=ARN, ClientID="c")
    world.ask("AddClientIDToOpenIDConnectProvider", OpenIDConnectProviderArn=ARN, ClientID="c")
    world.ask("RemoveClientIDFromOpenIDConnectProvider", OpenIDConnectProviderArn=ARN, ClientID="a")
    world.ask("UpdateOpenIDConnectProviderThumbprint", OpenIDConnectProviderArn=ARN, ThumbprintList=["d" * 40])
    shown = world.ask("GetOpenIDConnectProvider", OpenIDConnectProviderArn=ARN)
    assert shown["Url"] == "id.example.com/tenant"
    assert (shown["ClientIDList"], shown["ThumbprintList"], shown["Tags"]) == (["c"], ["d" * 40], [])
    assert world.ask("ListOpenIDConnectProviders")["OpenIDConnectProviderList"] == [{"Arn": ARN}]
    world.ask("DeleteOpenIDConnectProvider", OpenIDConnectProviderArn=ARN)
    with pytest.raises(NoSuchEntity, match=f"^OpenIDConnect Provider not found for arn {ARN}$"):
        world.ask("GetOpenIDConnectProvider", OpenIDConnectProviderArn=ARN)
    with pytest.raises(NoSuchEntity, match=rf"^OpenId connect Provider {ARN} cannot be found\.$"):
        world.ask("DeleteOpenIDConnectProvider", OpenIDConnectProviderArn=ARN)


PROVIDER_REFUSALS = [
    ({"Url": "http://id.example.com"}, ValidationError, "Invalid Open ID Connect Provider URL"),
    ({"Url": "https://user@id.example.com"}, ValidationError, "Invalid Open ID Connect Provider URL"),
    ({"Url": "https://id.example.com?x=1"}, ValidationError, "Invalid Open ID Connect Provider URL"),
    (
        {"Url": URL, "ThumbprintList": ["b" * 40] * 6},
        InvalidInput,
        "Thumbprint list must contain fewer than 5 entries.",
    ),
    (
        {"Url": URL, "ClientIDList": [f"c{n}" for n in range(101)]},
        LimitExceeded,
        "Cannot exceed quota for ClientIdsPerOpenIdConnectProvider: 100",
    ),
]


@pytest.mark.parametrize(("params", "kind", "sentence"), PROVIDER_REFUSALS)
def test_a_provider_that_is_none_is_refused(world: World, params, kind, sentence):
    with pytest.raises(kind) as refusal:
        world.ask("CreateOpenIDConnectProvider", **params)
    assert refusal.value.message == sentence


def test_keys_are_pinned_by_tags_in_parts(world: World):
    key_set = json.dumps({"keys": [RSAKey.generate_key(2048, {"kid": "k"}).as_dict(private=False)]})
    text = base64.urlsafe_b64encode(key_set.encode()).decode().rstrip("=")
    parts = [text[at : at + 256] for at in range(0, len(text), 256)]
    tags = [{"Key": f"geumgo:jwks:{number}", "Value": part} for number, part in enumerate(parts, start=1)]
    world.ask("CreateOpenIDConnectProvider", Url=URL, Tags=tags)
    with world.storage.reading() as tx:
        found = world.directory.provider(tx, ACCOUNT, "id.example.com/tenant")
    assert found is not None
    assert found.jwks is not None
    assert json.loads(found.jwks) == json.loads(key_set)
    world.ask("UntagOpenIDConnectProvider", OpenIDConnectProviderArn=ARN, TagKeys=[tag["Key"] for tag in tags])
    with world.storage.reading() as tx:
        found = world.directory.provider(tx, ACCOUNT, "id.example.com/tenant")
    assert found is not None
    assert found.jwks is None
    with pytest.raises(InvalidInput):
        world.ask(
            "TagOpenIDConnectProvider", OpenIDConnectProviderArn=ARN, Tags=[{"Key": "geumgo:jwks", "Value": "e30"}]
        )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"keys":[]}',
        '{"keys":[1]}',
        "[" * 5000,
        json.dumps({"keys": [OctKey.generate_key(256).as_dict()]}),
        json.dumps({"keys": [RSAKey.generate_key(2048).as_dict(private=True)]}),
        " " * 40_000,
    ],
    ids=[
        "nothing",
        "a list",
        "no keys",
        "empty",
        "no object",
        "too deep",
        "a symmetric key",
        "a private key",
        "too long",
    ],
)
def test_only_public_signing_keys_are_pinned(text: str):
    with pytest.raises(ValueError):
        jwks.checked(text)


# -- reports ---------------------------------------------------------------------------------------------------------------------


def test_a_credential_report_has_a_line_for_each_user(world: World):
    with pytest.raises(ReportNotPresent):
        world.ask("GetCredentialReport")
    world.user("=cmd")
    assert world.ask("GenerateCredentialReport") == {"State": "COMPLETE"}
    found = world.ask("GetCredentialReport")
    rows = list(csv.DictReader(io.StringIO(found["Content"].decode())))
    assert tuple(rows[0]) == COLUMNS
    assert {row["user"] for row in rows} == {"admin", "'=cmd"}
    assert rows[0]["access_key_1_active"] == "true"
    assert rows[0]["access_key_2_active"] == "false"
    world.clock.turn(ms=4 * 3_600_000 + 1)
    with pytest.raises(ReportExpired):
        world.ask("GetCredentialReport")


def test_the_authorizations_of_an_account_come_in_pages(world: World):
    world.role("app", trusting({"AWS": ACCOUNT}), allow("iam:ListUsers"))
    world.ask("CreatePolicy", PolicyName="p", PolicyDocument=allow("iam:ListUsers"))
    world.ask("CreateGroup", GroupName="devs")
    whole = world.ask("GetAccountAuthorizationDetails")
    assert [user["UserName"] for user in whole["UserDetailList"]] == ["admin"]
    assert whole["UserDetailList"][0]["AttachedManagedPolicies"][0]["PolicyName"] == "AdministratorAccess"
    assert whole["RoleDetailList"][0]["RolePolicyList"][0]["PolicyName"] == "p0"
    assert [each["PolicyName"] for each in whole["Policies"]] == ["p", "AdministratorAccess"]
    seen, marker = [], None
    while True:
        part = world.ask("GetAccountAuthorizationDetails", MaxItems=1, **({"Marker": marker} if marker else {}))
        seen += [
            each for name in ("UserDetailList", "GroupDetailList", "RoleDetailList", "Policies") for each in part[name]
        ]
        if not part["IsTruncated"]:
            break
        marker = part["Marker"]
    assert len(seen) == 5
    only = world.ask("GetAccountAuthorizationDetails", Filter=["Group"])
    assert (len(only["GroupDetailList"]), only["UserDetailList"]) == (1, [])


# -- simulations -----------------------------------------------------------------------------------------------------------------


def _decisions(answer) -> list[str]:
    return [result["EvalDecision"] for result in answer["EvaluationResults"]]


def test_a_simulation_decides_as_the_gate_does(world: World):
    policies = [allow("s3:Get*"), deny("s3:GetSecret")]
    answer = world.ask(
        "SimulateCustomPolicy", PolicyInputList=policies, ActionNames=["s3:GetObject", "s3:GetSecret", "s3:Put"]
    )
    assert _decisions(answer) == ["allowed", "explicitDeny", "implicitDeny"]
    assert answer["EvaluationResults"][0]["MatchedStatements"][0]["SourcePolicyId"] == "PolicyInputList.1"
    assert answer["EvaluationResults"][1]["MatchedStatements"][0]["SourcePolicyId"] == "PolicyInputList.2"


def test_a_simulation_says_which_context_it_misses(world: World):
    document = policy(
        {
            "Effect": "Allow",
            "Action": "s3:Get",
            "Resource": "*",
            "Condition": {"StringEquals": {"aws:PrincipalTag/team": "db"}},
        }
    )
    bare = world.ask("SimulateCustomPolicy", PolicyInputList=[document], ActionNames=["s3:Get"])
    assert _decisions(bare) == ["implicitDeny"]
    assert bare["EvaluationResults"][0]["MissingContextValues"] == ["aws:PrincipalTag/team"]
    entry = {"ContextKeyName": "aws:principaltag/team", "ContextKeyValues": ["db"], "ContextKeyType": "string"}
    full = world.ask("SimulateCustomPolicy", PolicyInputList=[document], ActionNames=["s3:Get"], ContextEntries=[entry])
    assert _decisions(full) == ["allowed"]
    assert full["EvaluationResults"][0]["MissingContextValues"] == []


def test_a_principals_policies_are_simulated_with_its_groups_and_boundary(world: World):
    bound = world.ask("CreatePolicy", PolicyName="b", PolicyDocument=allow("iam:ListUsers"))["Policy"]["Arn"]
    ann = world.user("ann", allow("iam:List*"), PermissionsBoundary=bound)
    answer = world.ask(
        "SimulatePrincipalPolicy", PolicySourceArn=ann.arn, ActionNames=["iam:ListUsers", "iam:ListRoles"]
    )
    assert _decisions(answer) == ["allowed", "implicitDeny"]
    details = [
        result["PermissionsBoundaryDecisionDetail"]["AllowedByPermissionsBoundary"]
        for result in answer["EvaluationResults"]
    ]
    assert details == [True, False]
    with pytest.raises(NoSuchEntity):
        world.ask(
            "SimulatePrincipalPolicy", PolicySourceArn=f"arn:aws:iam::{ACCOUNT}:role/none", ActionNames=["s3:Get"]
        )
    with pytest.raises(InvalidInput):
        world.ask("SimulatePrincipalPolicy", PolicySourceArn="arn:aws:s3:::bucket-of-mine", ActionNames=["s3:Get"])


def test_context_keys_are_found_in_conditions_and_variables(world: World):
    document = policy(
        {
            "Effect": "Allow",
            "Action": "s3:Get",
            "Resource": "arn:aws:s3:::b/${aws:username}/*",
            "Condition": {"StringLike": {"aws:Referer": "${aws:PrincipalTag/team, 'none'}"}},
        }
    )
    assert context_keys([document]) == ["aws:PrincipalTag/team", "aws:Referer", "aws:username"]
    assert world.ask("GetContextKeysForCustomPolicy", PolicyInputList=[document])["ContextKeyNames"] == context_keys(
        [document]
    )
    ann = world.user("ann", document)
    assert world.ask("GetContextKeysForPrincipalPolicy", PolicySourceArn=ann.arn)["ContextKeyNames"] == context_keys(
        [document]
    )
