"""AssumeRoleWithWebIdentity: tokens of an identity provider whose keys are pinned."""

import base64
import json
from typing import Any

import pytest
from botocore.exceptions import ClientError
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, OctKey, RSAKey

from geumgo.context import NOBODY, Caller
from geumgo.errors import AccessDenied, ServiceError
from geumgo.services.iam.providers import pin_jwks
from geumgo.services.sts.errors import Denied, InvalidIdentityToken, ValidationError, WebTokenExpired
from tests.house import House
from tests.services.iam.world import ACCOUNT, World, allow, trusting

ISSUER = "id.example.com/tenant"
URL = f"https://{ISSUER}"
ARN = f"arn:aws:iam::{ACCOUNT}:oidc-provider/{ISSUER}"
SUBJECT = "repo:org/app:ref:refs/heads/main"
RSA = RSAKey.generate_key(2048, {"kid": "one", "alg": "RS256", "use": "sig"}, auto_kid=False)
EC = ECKey.generate_key("P-256", {"kid": "two", "alg": "ES256", "use": "sig"}, auto_kid=False)
STRANGER = RSAKey.generate_key(2048, {"kid": "one"}, auto_kid=False)


@pytest.fixture
def site(world: World) -> World:
    """A provider with pinned keys, and a role that trusts one subject of it."""
    world.ask("CreateOpenIDConnectProvider", Url=URL, ClientIDList=["sts.amazonaws.com"])
    key_set = KeySet([RSA, EC]).as_dict(private=False)
    with world.storage.writing() as tx:
        pin_jwks(tx, world.sealing, ACCOUNT, URL, json.dumps(key_set))
    condition = {"StringEquals": {f"{ISSUER}:aud": "sts.amazonaws.com", f"{ISSUER}:sub": SUBJECT}}
    trust = trusting({"Federated": ARN}, "sts:AssumeRoleWithWebIdentity", Condition=condition)
    world.role("deploy", trust, allow("iam:ListUsers"))
    return world


def token(
    world: World | House, key: Any = RSA, alg: str = "RS256", header: dict[str, Any] | None = None, **claims: Any
) -> str:
    now_s = world.clock.now_ms() // 1000
    told = {
        "iss": URL,
        "sub": SUBJECT,
        "aud": "sts.amazonaws.com",
        "iat": now_s,
        "nbf": now_s,
        "exp": now_s + 600,
        **claims,
    }
    told = {name: value for name, value in told.items() if value is not None}
    return jwt.encode({"alg": alg, "kid": key.kid, **(header or {})}, told, key, algorithms=[alg])


def assume(world: World, web_token: str, **params: Any) -> dict[str, Any]:
    asked = {
        "RoleArn": f"arn:aws:iam::{ACCOUNT}:role/deploy",
        "RoleSessionName": "ci-run",
        "WebIdentityToken": web_token,
        **params,
    }
    return world.sts("AssumeRoleWithWebIdentity", NOBODY, **asked)


def test_a_token_opens_the_role_that_trusts_its_subject(site: World):
    answer = assume(site, token(site))
    assert answer["SubjectFromWebIdentityToken"] == SUBJECT
    assert answer["Audience"] == "sts.amazonaws.com"
    assert answer["Provider"] == ARN
    assert answer["AssumedRoleUser"]["Arn"] == f"arn:aws:sts::{ACCOUNT}:assumed-role/deploy/ci-run"
    session = site.caller_with(answer["Credentials"])
    assert session.session is not None
    assert session.session.federated_provider == ARN
    assert site.may(session, "ListUsers")
    assert not site.may(session, "ListRoles")


def test_each_pinned_key_signs(site: World):
    assume(site, token(site, EC, "ES256"))


REFUSALS: list[tuple[dict[str, Any], type[ServiceError], str]] = [
    ({"sub": "repo:org/other:ref:refs/heads/main"}, Denied, "Not authorized to perform sts:AssumeRoleWithWebIdentity"),
    ({"aud": "somebody else"}, InvalidIdentityToken, "Incorrect token audience"),
    ({"aud": None}, InvalidIdentityToken, "Incorrect token audience"),
    ({"sub": None}, InvalidIdentityToken, "Missing a required claim: sub"),
    ({"exp": None}, InvalidIdentityToken, "Missing a required claim: exp"),
    (
        {"iss": "https://evil.example"},
        InvalidIdentityToken,
        "No OpenIDConnect provider found in your account for https://evil.example",
    ),
    (
        {"iss": f"http://{ISSUER}"},
        InvalidIdentityToken,
        f"No OpenIDConnect provider found in your account for http://{ISSUER}",
    ),
    (
        {"iss": "https://a\0b"},
        InvalidIdentityToken,
        "The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)",
    ),
    (
        {"iss": None},
        InvalidIdentityToken,
        "The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)",
    ),
    (
        {"exp": "tomorrow"},
        InvalidIdentityToken,
        "The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)",
    ),
]


@pytest.mark.parametrize(("claims", "kind", "sentence"), REFUSALS)
def test_a_token_that_says_something_else_is_refused(site: World, claims, kind, sentence):
    with pytest.raises(kind) as refusal:
        assume(site, token(site, **claims))
    assert refusal.value.message == sentence


def test_a_token_is_good_from_its_beginning_to_its_end(site: World):
    now_s = site.clock.now_ms() // 1000
    with pytest.raises(InvalidIdentityToken, match="nbf"):
        assume(site, token(site, nbf=now_s + 301))
    web_token = token(site)
    site.clock.turn(ms=599_999)
    assume(site, web_token)
    site.clock.turn(ms=1)
    with pytest.raises(WebTokenExpired, match=rf"^Token expired: current date/time {now_s + 600} must be before the"):
        assume(site, web_token)


def test_only_a_pinned_key_is_believed(site: World):
    header, payload, signature = token(site).split(".")
    forged = token(site, STRANGER).split(".")
    public = json.dumps(RSA.as_dict(private=False)).encode()
    confused = token(site, OctKey.import_key(public, {"kid": "one"}), "HS256")
    none = base64.urlsafe_b64encode(b'{"alg":"none","kid":"one"}').decode().rstrip("=")
    unsigned = f"{none}.{payload}."
    for bad in (
        ".".join(forged),
        f"{header}.{payload}.{forged[2]}",
        f"{header}.{payload}.",
        confused,
        unsigned,
        f"{header}.{forged[1][:-4]}AAAA.{signature}",
    ):
        with pytest.raises(InvalidIdentityToken):
            assume(site, bad)


@pytest.mark.parametrize(
    "junk", ["abcd", "a.b.c", "....", "e30.e30.e30", "e30." + "W" * 8000 + ".e30", "e30." + "W1tb" * 4000 + ".e30"]
)
def test_what_is_no_token_is_refused(site: World, junk: str):
    with pytest.raises(InvalidIdentityToken):
        assume(site, junk)


def test_without_pinned_keys_no_token_is_believed(world: World):
    world.ask("CreateOpenIDConnectProvider", Url=URL, ClientIDList=["sts.amazonaws.com"])
    world.role("deploy", trusting({"Federated": ARN}, "sts:AssumeRoleWithWebIdentity"))
    with pytest.raises(InvalidIdentityToken, match=r"^Couldn't retrieve verification key from your identity provider"):
        assume(world, token(world))


def test_a_role_that_is_not_there_looks_like_one_that_does_not_trust(site: World):
    for arn in (f"arn:aws:iam::{ACCOUNT}:role/none", site.role("closed", trusting({"AWS": ACCOUNT}))):
        with pytest.raises(Denied, match=r"^Not authorized to perform sts:AssumeRoleWithWebIdentity$"):
            assume(site, token(site), RoleArn=arn)
    with pytest.raises(ValidationError, match=r"is invalid$"):
        assume(site, token(site), RoleArn=f"arn:aws:iam::{ACCOUNT}:user/admin")


def test_trusting_a_provider_does_not_let_its_account_assume_the_role(site: World):
    ann = site.user("ann", allow("sts:*"))
    with pytest.raises(AccessDenied):
        site.assume(f"arn:aws:iam::{ACCOUNT}:role/deploy", ann)


def test_who_is_signed_in_may_use_a_token_too(site: World):
    ann: Caller = site.user("ann")
    asked = {"RoleArn": f"arn:aws:iam::{ACCOUNT}:role/deploy", "RoleSessionName": "ci", "WebIdentityToken": token(site)}
    assert site.sts("AssumeRoleWithWebIdentity", ann, **asked)["SubjectFromWebIdentityToken"] == SUBJECT


def test_the_trail_names_whom_the_provider_vouched_for(house: House) -> None:
    """By what was verified, whether the role trusts him or not; by nothing where nothing was verified."""
    iam, account = house.client("iam"), house.account
    provider = iam.create_open_id_connect_provider(Url=URL, ClientIDList=["sts.amazonaws.com"])
    arn = provider["OpenIDConnectProviderArn"]
    with house.app.storage.writing() as tx:
        keys = json.dumps(KeySet([RSA]).as_dict(private=False))
        pin_jwks(tx, house.app.pipeline._parts.sealing, account, URL, keys)
    condition = {"StringEquals": {f"{ISSUER}:sub": SUBJECT}}
    trust = trusting({"Federated": arn}, "sts:AssumeRoleWithWebIdentity", Condition=condition)
    iam.create_role(RoleName="deploy", AssumeRolePolicyDocument=trust)

    def ask(web_token: str) -> None:
        house.client("sts").assume_role_with_web_identity(
            RoleArn=f"arn:aws:iam::{account}:role/deploy", RoleSessionName="ci-run", WebIdentityToken=web_token
        )

    ask(token(house))
    with pytest.raises(ClientError, match="AccessDenied"):
        ask(token(house, sub="repo:org/other"))
    with pytest.raises(ClientError, match="InvalidIdentityToken"):
        ask(token(house, aud="somebody else"))
    good, untrusted, unproven = [each for each in house.trail() if each["eventName"] == "AssumeRoleWithWebIdentity"]
    assert good["userIdentity"] == {
        "type": "WebIdentityUser",
        "principalId": f"{arn}:sts.amazonaws.com:{SUBJECT}",
        "userName": SUBJECT,
        "identityProvider": arn,
    }
    assert untrusted["userIdentity"]["userName"] == "repo:org/other"
    assert {good["recipientAccountId"], untrusted["recipientAccountId"]} == {account}
    assert unproven["userIdentity"]["type"] == "Unknown"
