"""The golden table: who gets what, and who says so."""

import pytest

from geumgo.domain.policy import Reason, Standing, decide, denial_tail
from tests.domain.policy.world import (
    FEDERATED,
    GET,
    GOOGLE,
    KEY,
    OURS,
    ROLE,
    SECRET,
    SESSION,
    THEIRS,
    USER,
    allow,
    ann,
    app,
    asks,
    bob,
    boundary,
    control,
    deny,
    eve,
    function,
    identity,
    key_policy,
    nobody,
    resource,
    resource_control,
    root,
    session,
    their_app,
    their_root,
    trust,
    trusting,
    web,
)

OUR_ROOT = f"arn:aws:iam::{OURS}:root"
ALLOWS = identity(allow())
DENIES = identity(deny())
OTHERS = identity(allow("kms:*"))
NARROW_BOUNDARY = boundary(allow("kms:*"))
WIDE_BOUNDARY = boundary(allow("*"))
NARROW_SESSION = (session(allow("kms:*")),)
WIDE_SESSION = (session(allow("*")),)
NARROW_CONTROL = control(allow("kms:*"))
WIDE_CONTROL = control(allow("*"))


def to(principal, effect=allow, **elements):
    return resource(effect(Principal=principal, **elements))


def aws(name, effect=allow, **elements):
    return to({"AWS": name}, effect, **elements)


BY_IDENTITY = Reason.ALLOWED_BY_IDENTITY_POLICY
BY_RESOURCE = Reason.ALLOWED_BY_RESOURCE_POLICY
AS_ROOT = Reason.ALLOWED_AS_ROOT
BY_GRANT = Reason.ALLOWED_BY_GRANT
NO_IDENTITY = Reason.NO_IDENTITY_POLICY
NO_RESOURCE = Reason.NO_RESOURCE_POLICY
NO_BOUNDARY = Reason.NO_BOUNDARY
NO_SESSION = Reason.NO_SESSION_POLICY
NO_CONTROL = Reason.NO_SERVICE_CONTROL_POLICY
NO_TRUST = Reason.NO_TRUST_POLICY
ALLOWING = {BY_IDENTITY, BY_RESOURCE, AS_ROOT, BY_GRANT}

INSIDE = [
    # one side is enough
    ("nothing allows", ann, Standing(), NO_IDENTITY),
    ("only others are allowed", ann, Standing((OTHERS,)), NO_IDENTITY),
    ("identity allows", ann, Standing((ALLOWS,)), BY_IDENTITY),
    ("one of many identity policies allows", ann, Standing((OTHERS, ALLOWS)), BY_IDENTITY),
    ("identity denies too", ann, Standing((ALLOWS, DENIES)), Reason.DENIED_IN_IDENTITY_POLICY),
    ("resource names the user", ann, Standing(resource=aws(USER)), BY_RESOURCE),
    ("resource names the user's id", ann, Standing(resource=aws("AIDAANNANNANNANNANN01")), BY_RESOURCE),
    ("resource names everybody", ann, Standing(resource=to("*")), BY_RESOURCE),
    ("resource names every AWS principal", ann, Standing(resource=aws("*")), BY_RESOURCE),
    ("resource names somebody else", ann, Standing(resource=aws(ROLE)), NO_IDENTITY),
    ("resource names only the account", ann, Standing(resource=aws(OURS)), NO_IDENTITY),
    ("resource names only the root", ann, Standing(resource=aws(OUR_ROOT)), NO_IDENTITY),
    ("account and identity", ann, Standing((ALLOWS,), resource=aws(OURS)), BY_IDENTITY),
    ("resource denies the user", ann, Standing((ALLOWS,), resource=aws(USER, deny)), Reason.DENIED_IN_RESOURCE_POLICY),
    ("resource denies the account", ann, Standing((ALLOWS,), resource=aws(OURS, deny)), Reason.DENIED_IN_RESOURCE_POLICY),
    ("resource denies everybody", ann, Standing((ALLOWS,), resource=to("*", deny)), Reason.DENIED_IN_RESOURCE_POLICY),
    ("resource denies another", ann, Standing((ALLOWS,), resource=aws(ROLE, deny)), BY_IDENTITY),
    ("identity deny beats resource allow", ann, Standing((DENIES,), resource=aws(USER)), Reason.DENIED_IN_IDENTITY_POLICY),
    ("CanonicalUser is nobody", ann, Standing(resource=to({"CanonicalUser": "0" * 64})), NO_IDENTITY),
    # boundaries
    ("boundary leaves it out", ann, Standing((ALLOWS,), NARROW_BOUNDARY), NO_BOUNDARY),
    ("boundary grants nothing", ann, Standing((), WIDE_BOUNDARY), NO_IDENTITY),
    ("boundary includes it", ann, Standing((ALLOWS,), WIDE_BOUNDARY), BY_IDENTITY),
    ("boundary denies", ann, Standing((ALLOWS,), boundary(allow("*"), deny())), Reason.DENIED_IN_BOUNDARY),
    ("user named by the resource passes the boundary", ann, Standing((), NARROW_BOUNDARY, resource=aws(USER)), BY_RESOURCE),
    ("everybody named passes the boundary", ann, Standing((), NARROW_BOUNDARY, resource=to("*")), BY_RESOURCE),
    ("a boundary's deny is never passed", ann, Standing((), boundary(deny()), resource=aws(USER)), Reason.DENIED_IN_BOUNDARY),
    ("root named by the resource meets the boundary", ann, Standing((ALLOWS,), NARROW_BOUNDARY, resource=aws(OURS)), NO_BOUNDARY),
    # roles and sessions
    ("role's identity allows", app, Standing((ALLOWS,)), BY_IDENTITY),
    ("resource names the role", app, Standing(resource=aws(ROLE)), BY_RESOURCE),
    ("resource names the role's id", app, Standing(resource=aws("AROAAPPAPPAPPAPPAPP01")), BY_RESOURCE),
    ("resource names the session", app, Standing(resource=aws(SESSION)), BY_RESOURCE),
    ("resource names another session", app, Standing(resource=aws(SESSION + "x")), NO_IDENTITY),
    ("resource names the role without its path", app, Standing(resource=aws(f"arn:aws:iam::{OURS}:role/app")), NO_IDENTITY),
    ("role named meets the boundary", app, Standing((), NARROW_BOUNDARY, resource=aws(ROLE)), NO_BOUNDARY),
    ("role named meets the session policy", app, Standing((), None, NARROW_SESSION, aws(ROLE)), NO_SESSION),
    ("role named, both allow", app, Standing((), WIDE_BOUNDARY, WIDE_SESSION, aws(ROLE)), BY_RESOURCE),
    ("session named passes the boundary", app, Standing((), NARROW_BOUNDARY, None, aws(SESSION)), BY_RESOURCE),
    ("session named passes the session policy", app, Standing((), None, NARROW_SESSION, aws(SESSION)), BY_RESOURCE),
    ("session and role named: the session counts", app, Standing((), NARROW_BOUNDARY, None, aws([ROLE, SESSION])), BY_RESOURCE),
    ("everybody named passes the session policy", app, Standing((), None, NARROW_SESSION, to("*")), BY_RESOURCE),
    ("session policy leaves it out", app, Standing((ALLOWS,), None, NARROW_SESSION), NO_SESSION),
    ("session policy grants nothing", app, Standing((), None, WIDE_SESSION), NO_IDENTITY),
    ("session policy includes it", app, Standing((ALLOWS,), None, WIDE_SESSION), BY_IDENTITY),
    ("one of many session policies includes it", app, Standing((ALLOWS,), None, NARROW_SESSION + WIDE_SESSION), BY_IDENTITY),
    ("session policies that are none allow nothing", app, Standing((ALLOWS,), None, ()), NO_SESSION),
    ("session policy denies", app, Standing((ALLOWS,), None, (session(allow("*"), deny()),)), Reason.DENIED_IN_SESSION_POLICY),
    ("session policy denies a named session", app, Standing((), None, (session(deny()),), aws(SESSION)), Reason.DENIED_IN_SESSION_POLICY),
    ("the boundary is named before the session policy", app, Standing((ALLOWS,), NARROW_BOUNDARY, NARROW_SESSION), NO_BOUNDARY),
    ("resource denies the role", app, Standing((ALLOWS,), resource=aws(ROLE, deny)), Reason.DENIED_IN_RESOURCE_POLICY),
    ("resource denies the session", app, Standing((ALLOWS,), resource=aws(SESSION, deny)), Reason.DENIED_IN_RESOURCE_POLICY),
    # federated users
    ("federated user without session policy", bob, Standing((ALLOWS,)), NO_SESSION),
    ("federated user with session policy", bob, Standing((ALLOWS,), None, WIDE_SESSION), BY_IDENTITY),
    ("federated user outside the session policy", bob, Standing((ALLOWS,), None, NARROW_SESSION), NO_SESSION),
    ("federated user named by the resource", bob, Standing(resource=aws(FEDERATED)), BY_RESOURCE),
    ("the federating user named", bob, Standing((), None, WIDE_SESSION, aws(USER)), BY_RESOURCE),
    ("the federating user named, session policy narrow", bob, Standing((), None, NARROW_SESSION, aws(USER)), NO_SESSION),
    ("the federating user named, no session policy", bob, Standing(resource=aws(USER)), NO_SESSION),
    # the root user
    ("root has everything", root, Standing(), AS_ROOT),
    ("root named or not", root, Standing(resource=aws(USER)), AS_ROOT),
    ("root is denied by the resource", root, Standing(resource=aws(OUR_ROOT, deny)), Reason.DENIED_IN_RESOURCE_POLICY),
    ("root is denied with everybody", root, Standing(resource=to("*", deny)), Reason.DENIED_IN_RESOURCE_POLICY),
    ("root obeys the organization", root, Standing(service_control=((NARROW_CONTROL,),)), NO_CONTROL),
    # the organization
    ("a control policy grants nothing", ann, Standing(service_control=((WIDE_CONTROL,),)), NO_IDENTITY),
    ("every level allows", ann, Standing((ALLOWS,), service_control=((WIDE_CONTROL,), (WIDE_CONTROL,))), BY_IDENTITY),
    ("one level leaves it out", ann, Standing((ALLOWS,), service_control=((WIDE_CONTROL,), (NARROW_CONTROL,))), NO_CONTROL),
    ("one policy of a level is enough", ann, Standing((ALLOWS,), service_control=((NARROW_CONTROL, WIDE_CONTROL),)), BY_IDENTITY),
    ("an empty level allows nothing", ann, Standing((ALLOWS,), service_control=((),)), NO_CONTROL),
    ("control denies", ann, Standing((ALLOWS,), service_control=((WIDE_CONTROL, control(deny())),)), Reason.DENIED_IN_SERVICE_CONTROL_POLICY),
    ("control beats a resource's allow", ann, Standing(resource=aws(USER), service_control=((NARROW_CONTROL,),)), NO_CONTROL),
    ("resource control denies", ann, Standing((ALLOWS,), resource_control=((resource_control(deny(Principal="*")),),)), Reason.DENIED_IN_RESOURCE_CONTROL_POLICY),
    ("resource control leaves it out", ann, Standing((ALLOWS,), resource_control=((resource_control(allow("kms:*", Principal="*")),),)), Reason.NO_RESOURCE_CONTROL_POLICY),
    ("resource control allows", ann, Standing((ALLOWS,), resource_control=((resource_control(allow("*", Principal="*")),),)), BY_IDENTITY),
    # services and strangers
    ("a service has no policies of its own", function, Standing((ALLOWS,)), NO_RESOURCE),
    ("a service is named", function, Standing(resource=to({"Service": "lambda.amazonaws.com"})), BY_RESOURCE),
    ("another service is named", function, Standing(resource=to({"Service": "ecs.amazonaws.com"})), NO_RESOURCE),
    ("everybody includes services", function, Standing(resource=to("*")), BY_RESOURCE),
    ("an account includes no services", function, Standing(resource=aws(OURS)), NO_RESOURCE),
    ("control policies do not bind services", function, Standing(resource=to("*"), service_control=((NARROW_CONTROL,),)), BY_RESOURCE),
    ("nobody gets nothing", nobody, Standing((ALLOWS,)), NO_RESOURCE),
    ("everybody includes nobody", nobody, Standing(resource=to("*")), BY_RESOURCE),
    ("an account does not include nobody", nobody, Standing(resource=aws([OURS, USER])), NO_RESOURCE),
    ("nobody is denied", nobody, Standing(resource=resource(allow(Principal="*"), deny(Principal="*"))), Reason.DENIED_IN_RESOURCE_POLICY),
    # policies in the wrong place
    ("a policy without principals grants nothing as a resource's", ann, Standing(resource=ALLOWS), NO_IDENTITY),
    ("but it still denies", ann, Standing((ALLOWS,), resource=DENIES), Reason.DENIED_IN_RESOURCE_POLICY),
]  # fmt: skip

ACROSS = [
    ("identity alone", eve, Standing((ALLOWS,)), NO_RESOURCE),
    ("resource alone", eve, Standing(resource=aws(eve.arn)), NO_IDENTITY),
    ("neither", eve, Standing(), NO_RESOURCE),
    ("both, by name", eve, Standing((ALLOWS,), resource=aws(eve.arn)), BY_IDENTITY),
    ("both, by account", eve, Standing((ALLOWS,), resource=aws(THEIRS)), BY_IDENTITY),
    ("both, by everybody", eve, Standing((ALLOWS,), resource=to("*")), BY_IDENTITY),
    ("everybody alone is not enough", eve, Standing(resource=to("*")), NO_IDENTITY),
    ("our account named", eve, Standing((ALLOWS,), resource=aws(OURS)), NO_RESOURCE),
    ("our namesake named", eve, Standing((ALLOWS,), resource=aws(f"arn:aws:iam::{OURS}:user/eve")), NO_RESOURCE),
    ("their boundary", eve, Standing((ALLOWS,), NARROW_BOUNDARY, resource=aws(eve.arn)), NO_BOUNDARY),
    ("their deny", eve, Standing((ALLOWS, DENIES), resource=aws(eve.arn)), Reason.DENIED_IN_IDENTITY_POLICY),
    ("our deny", eve, Standing((ALLOWS,), resource=resource(allow(Principal="*"), deny(Principal={"AWS": THEIRS}))), Reason.DENIED_IN_RESOURCE_POLICY),
    ("their control policy", eve, Standing((ALLOWS,), resource=to("*"), service_control=((NARROW_CONTROL,),)), NO_CONTROL),
    ("role named, identity allows", their_app, Standing((ALLOWS,), resource=aws(their_app.role_arn)), BY_IDENTITY),
    ("role named alone", their_app, Standing(resource=aws(their_app.role_arn)), NO_IDENTITY),
    ("session named alone", their_app, Standing(resource=aws(their_app.arn)), NO_IDENTITY),
    ("session named, session policy narrow", their_app, Standing((ALLOWS,), None, NARROW_SESSION, aws(their_app.arn)), NO_SESSION),
    ("our role of the same name", their_app, Standing((ALLOWS,), resource=aws(ROLE)), NO_RESOURCE),
    ("their root, not named", their_root, Standing(), NO_RESOURCE),
    ("their root, named", their_root, Standing(resource=aws(THEIRS)), AS_ROOT),
    ("their root, everybody named", their_root, Standing(resource=to("*")), AS_ROOT),
]  # fmt: skip

KEY_DELEGATES = key_policy({"Effect": "Allow", "Principal": {"AWS": OUR_ROOT}, "Action": "kms:*", "Resource": "*"})
KMS = identity(allow("kms:*"))


def key(principal, effect="Allow"):
    return key_policy({"Effect": effect, "Principal": principal, "Action": "kms:Decrypt", "Resource": "*"})


KEYS = [
    ("identity alone", ann, OURS, Standing((KMS,), resource=key({"AWS": ROLE})), NO_RESOURCE),
    ("no policy at all", ann, OURS, Standing((KMS,)), NO_RESOURCE),
    ("delegated, identity allows", ann, OURS, Standing((KMS,), resource=KEY_DELEGATES), BY_IDENTITY),
    ("delegated, identity does not", ann, OURS, Standing((), resource=KEY_DELEGATES), NO_IDENTITY),
    ("delegated, boundary narrow", ann, OURS, Standing((KMS,), boundary(allow("s3:*")), resource=KEY_DELEGATES), NO_BOUNDARY),
    ("user named", ann, OURS, Standing((), resource=key({"AWS": USER})), BY_RESOURCE),
    ("role named", app, OURS, Standing((), resource=key({"AWS": ROLE})), BY_RESOURCE),
    ("role named, session narrow", app, OURS, Standing((), None, (session(allow("s3:*")),), key({"AWS": ROLE})), NO_SESSION),
    ("session named", app, OURS, Standing((), None, (session(allow("s3:*")),), key({"AWS": SESSION})), BY_RESOURCE),
    ("root, delegated", root, OURS, Standing((), resource=KEY_DELEGATES), AS_ROOT),
    ("root, not named", root, OURS, Standing((), resource=key({"AWS": USER})), NO_RESOURCE),
    ("deny in the key policy", ann, OURS, Standing((KMS,), resource=key({"AWS": USER}, "Deny")), Reason.DENIED_IN_RESOURCE_POLICY),
    ("service named", function, OURS, Standing((), resource=key({"Service": "lambda.amazonaws.com"})), BY_RESOURCE),
    ("across, account named and identity", eve, OURS, Standing((KMS,), resource=key({"AWS": THEIRS})), BY_IDENTITY),
    ("across, account named alone", eve, OURS, Standing((), resource=key({"AWS": THEIRS})), NO_IDENTITY),
    ("across, delegated to us only", eve, OURS, Standing((KMS,), resource=KEY_DELEGATES), NO_RESOURCE),
    ("grant", ann, OURS, Standing((), resource=KEY_DELEGATES, grant="g1"), BY_GRANT),
    ("grant across", eve, OURS, Standing((), resource=KEY_DELEGATES, grant="g1"), BY_GRANT),
    ("grant against a deny", ann, OURS, Standing((identity(deny("kms:*")),), resource=KEY_DELEGATES, grant="g1"), Reason.DENIED_IN_IDENTITY_POLICY),
    ("grant against the key's deny", ann, OURS, Standing((), resource=key({"AWS": USER}, "Deny"), grant="g1"), Reason.DENIED_IN_RESOURCE_POLICY),
    ("grant against the organization", ann, OURS, Standing((), grant="g1", service_control=((control(allow("s3:*")),),)), NO_CONTROL),
]  # fmt: skip

ASSUME = identity(allow("sts:AssumeRole"))
TRUSTS = [
    ("identity alone", ann, Standing((ASSUME,), resource=trust(trusting({"AWS": ROLE}))), NO_TRUST),
    ("account trusted, identity allows", ann, Standing((ASSUME,), resource=trust(trusting({"AWS": OURS}))), BY_IDENTITY),
    ("account trusted alone", ann, Standing((), resource=trust(trusting({"AWS": OURS}))), NO_IDENTITY),
    ("user trusted alone", ann, Standing((), resource=trust(trusting({"AWS": USER}))), BY_RESOURCE),
    ("role trusted alone", app, Standing((), resource=trust(trusting({"AWS": ROLE}))), BY_RESOURCE),
    ("role trusted, boundary narrow", app, Standing((), boundary(allow("s3:*")), resource=trust(trusting({"AWS": ROLE}))), NO_BOUNDARY),
    ("across, account trusted and identity", eve, Standing((ASSUME,), resource=trust(trusting({"AWS": THEIRS}))), BY_IDENTITY),
    ("across, user trusted alone", eve, Standing((), resource=trust(trusting({"AWS": eve.arn}))), NO_IDENTITY),
    ("root is not trusted of itself", root, Standing((), resource=trust(trusting({"AWS": USER}))), NO_TRUST),
    ("service trusted", function, Standing((), resource=trust(trusting({"Service": "lambda.amazonaws.com"}))), BY_RESOURCE),
    ("another service trusted", function, Standing((), resource=trust(trusting({"Service": "ec2.amazonaws.com"}))), NO_TRUST),
    ("explicit deny", ann, Standing((ASSUME,), resource=trust(trusting({"AWS": OURS}), trusting({"AWS": USER}, effect="Deny"))), Reason.DENIED_IN_TRUST_POLICY),
]  # fmt: skip


def ids(table):
    return [row[0] for row in table]


def check(decision, reason):
    assert decision.reason is reason
    assert decision.allowed is (reason in ALLOWING)


@pytest.mark.parametrize(("_what", "who", "standing", "reason"), INSIDE, ids=ids(INSIDE))
def test_inside_an_account(_what, who, standing, reason):
    check(decide(asks(who), standing), reason)


@pytest.mark.parametrize(("_what", "who", "standing", "reason"), ACROSS, ids=ids(ACROSS))
def test_across_accounts_both_sides_must_allow(_what, who, standing, reason):
    check(decide(asks(who), standing), reason)


@pytest.mark.parametrize(("_what", "who", "owner", "standing", "reason"), KEYS, ids=ids(KEYS))
def test_a_key_demands_its_own_policy(_what, who, owner, standing, reason):
    check(decide(asks(who, "kms:Decrypt", KEY, owner), standing._replace(resource_rule="required")), reason)


@pytest.mark.parametrize(("_what", "who", "standing", "reason"), TRUSTS, ids=ids(TRUSTS))
def test_a_role_demands_its_own_trust(_what, who, standing, reason):
    check(decide(asks(who, "sts:AssumeRole", ROLE), standing._replace(resource_rule="required")), reason)


@pytest.mark.unverified
@pytest.mark.parametrize(
    ("trusted", "allowed"),
    [
        ({"Federated": GOOGLE}, True),
        ({"Federated": "www.amazon.com"}, False),
        ({"AWS": OURS}, False),
        ({"AWS": "*"}, False),
        ({"AWS": "*", "Federated": GOOGLE}, True),
    ],
)
def test_a_web_identity_is_named_by_its_provider(trusted, allowed):
    standing = Standing(resource=trust(trusting(trusted, "sts:AssumeRoleWithWebIdentity")), resource_rule="required")
    assert decide(asks(web, "sts:AssumeRoleWithWebIdentity", ROLE), standing).allowed is allowed


def test_a_deny_to_everybody_reaches_web_identities():
    both = trust(
        trusting({"Federated": GOOGLE}, "sts:AssumeRoleWithWebIdentity"), trusting({"AWS": "*"}, "sts:*", effect="Deny")
    )
    decision = decide(
        asks(web, "sts:AssumeRoleWithWebIdentity", ROLE), Standing(resource=both, resource_rule="required")
    )
    check(decision, Reason.DENIED_IN_TRUST_POLICY)


SPARED = [
    ("user and account listed", ann, [USER, OURS], True),
    ("user alone listed", ann, [USER], False),
    ("account alone listed", ann, [OURS], False),
    ("user's id and root listed", ann, ["AIDAANNANNANNANNANN01", OUR_ROOT], True),
    ("role, session and account listed", app, [ROLE, SESSION, OURS], True),
    ("role and account listed", app, [ROLE, OURS], False),
    ("session and account listed", app, [SESSION, OURS], False),
    ("root listed", root, [OURS], True),
    ("somebody else listed", root, [THEIRS], False),
    ("nobody is never listed", nobody, [OURS, USER], False),
    ("a service is not an account", function, [OURS], False),
]


@pytest.mark.parametrize(("_what", "who", "listed", "spared"), SPARED, ids=ids(SPARED))
def test_not_principal_spares_whom_it_lists_whole(_what, who, listed, spared):
    guard = resource(allow(Principal="*"), deny(NotPrincipal={"AWS": listed}))
    assert decide(asks(who), Standing((ALLOWS,), resource=guard)).allowed is spared


BOUNDED = [
    ("user", ann, [USER, OURS]),
    ("session of a role", app, [ROLE, SESSION, OURS]),
    ("federated user", bob, [USER, FEDERATED, OURS]),
    ("user of another account", eve, [eve.arn, THEIRS]),
    ("everybody", ann, "*"),
]


@pytest.mark.parametrize(("_what", "who", "listed"), BOUNDED, ids=ids(BOUNDED))
def test_not_principal_spares_nobody_who_has_a_boundary(_what, who, listed):
    guard = resource(allow(Principal="*"), deny(NotPrincipal={"AWS": listed}))
    free = Standing((ALLOWS,), session=WIDE_SESSION, resource=guard)
    check(decide(asks(who), free), Reason.ALLOWED_BY_RESOURCE_POLICY if who is not eve else BY_IDENTITY)
    check(decide(asks(who), free._replace(boundary=WIDE_BOUNDARY)), Reason.DENIED_IN_RESOURCE_POLICY)


def test_not_principal_in_a_key_policy_spares_nobody_who_has_a_boundary():
    guard = key_policy(allow("kms:*", Principal={"AWS": OURS}), deny("kms:*", NotPrincipal={"AWS": [USER, OURS]}))
    free = Standing((identity(allow("kms:*")),), resource=guard, resource_rule="required")
    check(decide(asks(on=KEY, action="kms:Decrypt"), free), BY_IDENTITY)
    bounded = free._replace(boundary=boundary(allow("*")))
    check(decide(asks(on=KEY, action="kms:Decrypt"), bounded), Reason.DENIED_IN_RESOURCE_POLICY)
    check(decide(asks(on=KEY, action="kms:Decrypt"), bounded._replace(grant="g1")), Reason.DENIED_IN_RESOURCE_POLICY)


def test_not_principal_denies_a_bounded_caller_only_what_its_statement_covers():
    guard = resource(deny("secretsmanager:DeleteSecret", NotPrincipal={"AWS": [USER, OURS]}))
    check(decide(asks(), Standing((ALLOWS,), WIDE_BOUNDARY, resource=guard)), BY_IDENTITY)


def test_principal_names_a_bounded_caller_as_any_other():
    check(decide(asks(), Standing((ALLOWS,), WIDE_BOUNDARY, resource=aws(THEIRS, deny))), BY_IDENTITY)
    check(
        decide(asks(), Standing((ALLOWS,), WIDE_BOUNDARY, resource=aws(USER, deny))), Reason.DENIED_IN_RESOURCE_POLICY
    )


def test_not_principal_spares_a_service_that_it_lists():
    guard = resource(allow(Principal="*"), deny(NotPrincipal={"Service": "lambda.amazonaws.com"}))
    assert decide(asks(function), Standing(resource=guard)).allowed
    assert not decide(asks(ann), Standing((ALLOWS,), resource=guard)).allowed


ACTIONS = [
    ("secretsmanager:GetSecretValue", GET, True),
    ("SECRETSMANAGER:getsecretvalue", GET, True),
    ("secretsmanager:GetSecretValue", "secretsmanager:getSECRETvalue", True),
    ("secretsmanager:*", GET, True),
    ("secretsmanager:get*", GET, True),
    ("secretsmanager:G?tSecretValue", GET, True),
    ("secretsmanager:*Value", GET, True),
    ("*", GET, True),
    ("*:*", GET, True),
    (["kms:Decrypt", "secretsmanager:GetSecretValue"], GET, True),
    ("secretsmanager:GetSecret", GET, False),
    ("secretsmanager:GetSecretValue", "secretsmanager:GetSecretValues", False),
    ("kms:*", GET, False),
    ([], GET, None),
]


@pytest.mark.parametrize(("listed", "action", "covered"), [row for row in ACTIONS if row[2] is not None])
def test_actions_match_in_any_case_and_with_wildcards(listed, action, covered):
    assert decide(asks(action=action), Standing((identity(allow(listed)),))).allowed is covered
    other = identity({"Effect": "Allow", "NotAction": listed, "Resource": "*"})
    assert decide(asks(action=action), Standing((other,))).allowed is not covered


RESOURCES = [
    ("*", SECRET, True),
    (SECRET, SECRET, True),
    (SECRET.replace("prod", "Prod"), SECRET, False),
    ("arn:aws:secretsmanager:us-east-1:111122223333:secret:prod/db-??????", SECRET, True),
    ("arn:aws:secretsmanager:us-east-1:111122223333:secret:prod/db-?????", SECRET, False),
    ("arn:aws:secretsmanager:*:*:secret:prod/*", SECRET, True),
    ("arn:aws:secretsmanager:*:secret:prod/*", SECRET, True),
    ("arn:aws:secretsmanager:*:444455556666:secret:*", SECRET, False),
    (["arn:aws:s3:::x", "arn:aws:secretsmanager:*"], SECRET, True),
    ("arn:aws:secretsmanager:*:*:secret:${aws:username}/*", SECRET, True),
    ("arn:aws:secretsmanager:*:*:secret:${aws:username}*", SECRET, True),
    ("arn:aws:secretsmanager:*:*:secret:${aws:nothing}*", SECRET, False),
    ("arn:aws:secretsmanager:*:*:secret:${aws:nothing, 'prod'}/*", SECRET, True),
    ("arn:aws:secretsmanager:*:*:secret:${aws:star}", SECRET, False),
    ("arn:aws:secretsmanager:*:*:secret:prod/db${*}", SECRET, False),
    ("arn:aws:secretsmanager:${aws:region}:111122223333:secret:prod/*", SECRET, False),
    ("*", "*", True),
    ("arn:aws:secretsmanager:*", "*", False),
]


@pytest.mark.parametrize(("listed", "asked", "covered"), RESOURCES)
def test_resources_match_with_case_wildcards_and_variables(listed, asked, covered):
    question = asks(on=asked, keys={"aws:username": ("prod",), "aws:star": ("*",), "aws:region": ("us-east-1",)})
    assert decide(question, Standing((identity(allow(resource=listed)),))).allowed is covered
    other = identity({"Effect": "Allow", "Action": "*", "NotResource": listed})
    assert decide(question, Standing((other,))).allowed is not covered


def test_every_condition_of_a_statement_must_be_met():
    conditions = {"StringEquals": {"aws:a": "1", "aws:b": "2"}, "Bool": {"aws:c": "true"}}
    standing = Standing((identity(allow(Condition=conditions)),))
    whole = {"aws:a": ("1",), "aws:b": ("2",), "aws:c": ("true",)}
    assert decide(asks(keys=whole), standing).allowed
    for name in whole:
        assert not decide(asks(keys={**whole, name: ("0",)}), standing).allowed
        assert not decide(asks(keys={key: value for key, value in whole.items() if key != name}), standing).allowed


def test_a_tag_of_the_caller_opens_secrets_with_the_same_tag():
    team = {"StringEquals": {"aws:ResourceTag/Team": "${ aws:principaltag/TEAM }"}}
    standing = Standing((identity(allow(Condition=team)),))
    assert decide(asks(keys={"aws:ResourceTag/team": ("red",), "aws:PrincipalTag/Team": ("red",)}), standing).allowed
    assert not decide(asks(keys={"aws:ResourceTag/team": ("red",), "aws:PrincipalTag/Team": ("*",)}), standing).allowed
    assert not decide(asks(keys={}), standing).allowed


def test_a_decision_names_policy_and_statement():
    own = identity(allow("kms:*", Sid="Keys"), allow(Sid="Secrets"), name="arn:aws:iam::1:policy/own")
    assert decide(asks(), Standing((own,)))[2:] == ("arn:aws:iam::1:policy/own", "Secrets")
    guard = resource(allow(Principal="*"), deny(Principal="*"), name="guard")
    assert decide(asks(), Standing((own,), resource=guard))[2:] == ("guard", "#2")
    assert decide(asks(), Standing())[2:] == ("", "")
    assert decide(asks(), Standing(grant="g1"))[2:] == ("", "g1")


TAILS = {
    NO_IDENTITY: f"because no identity-based policy allows the {GET} action",
    NO_RESOURCE: f"because no resource-based policy allows the {GET} action",
    NO_TRUST: f"because no role trust policy allows the {GET} action",
    NO_BOUNDARY: f"because no permissions boundary allows the {GET} action",
    NO_SESSION: f"because no session policy allows the {GET} action",
    NO_CONTROL: f"because no service control policy allows the {GET} action",
    Reason.NO_RESOURCE_CONTROL_POLICY: f"because no resource control policy allows the {GET} action",
    Reason.DENIED_IN_IDENTITY_POLICY: "with an explicit deny in an identity-based policy",
    Reason.DENIED_IN_RESOURCE_POLICY: "with an explicit deny in a resource-based policy",
    Reason.DENIED_IN_TRUST_POLICY: "with an explicit deny in the role trust policy",
    Reason.DENIED_IN_BOUNDARY: "with an explicit deny in a permissions boundary",
    Reason.DENIED_IN_SESSION_POLICY: "with an explicit deny in a session policy",
    Reason.DENIED_IN_SERVICE_CONTROL_POLICY: "with an explicit deny in a service control policy",
    Reason.DENIED_IN_RESOURCE_CONTROL_POLICY: "with an explicit deny in a resource control policy",
}


@pytest.mark.parametrize(("reason", "tail"), TAILS.items())
def test_a_denial_ends_as_aws_words_it(reason, tail):
    denial = decide(asks(), Standing())._replace(reason=reason)
    assert denial_tail(denial, GET) == tail


def test_every_reason_allows_or_has_a_tail():
    assert set(Reason) == ALLOWING | set(TAILS)
