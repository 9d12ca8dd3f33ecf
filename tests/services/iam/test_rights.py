"""What a principal may do follows from the rows as they are now; a row that is not ours gives nothing."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from geumgo.context import Caller
from geumgo.domain.policy import PolicyKind
from geumgo.errors import AccessDenied
from geumgo.sealing import Unsealable
from geumgo.services.iam.bootstrap import AccountExists, bootstrap, create_account
from geumgo.services.iam.domain import holdings_digest
from geumgo.services.iam.records import Holdings
from tests.services.iam.world import ACCOUNT, OTHER_ACCOUNT, ROOMS, World, allow, deny


def test_a_group_gives_its_rights_to_its_members_only_while_they_are_in_it(world_on_each_engine: World):
    world = world_on_each_engine
    ann = world.user("ann")
    world.ask("CreateGroup", GroupName="devs")
    world.ask("PutGroupPolicy", GroupName="devs", PolicyName="p", PolicyDocument=allow("iam:ListUsers"))
    assert not world.may(ann, "ListUsers")
    world.ask("AddUserToGroup", GroupName="devs", UserName="ann")
    world.ask("AddUserToGroup", GroupName="devs", UserName="ann")
    assert world.may(ann, "ListUsers")
    world.ask("PutGroupPolicy", GroupName="devs", PolicyName="no", PolicyDocument=deny("iam:ListUsers"))
    assert not world.may(ann, "ListUsers")
    world.ask("DeleteGroupPolicy", GroupName="devs", PolicyName="no")
    world.ask("RemoveUserFromGroup", GroupName="devs", UserName="ann")
    assert not world.may(ann, "ListUsers")


def test_a_boundary_limits_and_gives_nothing(world: World):
    made = world.ask("CreatePolicy", PolicyName="b", PolicyDocument=allow("iam:ListUsers", "iam:ListGroups"))["Policy"]
    ann = world.user("ann", allow("iam:ListUsers", "iam:ListRoles"), PermissionsBoundary=made["Arn"])
    assert world.may(ann, "ListUsers")
    assert not world.may(ann, "ListRoles")
    assert not world.may(ann, "ListGroups")
    assert world.ask("GetUser", UserName="ann")["User"]["PermissionsBoundary"]["PermissionsBoundaryArn"] == made["Arn"]


def test_root_has_everything_but_what_is_denied(world: World):
    root = Caller("Root", ACCOUNT, f"arn:aws:iam::{ACCOUNT}:root", ACCOUNT)
    with world.storage.reading() as tx:
        found = world.rights.of(tx, root)
    assert [policy.kind for policy in found.identity] == [PolicyKind.IDENTITY]
    assert world.may(root, "DeleteUser", UserName="admin")


def test_someone_whose_row_is_gone_has_no_rights_left(world: World):
    ann = world.user("ann", allow("iam:*"))
    assert world.may(ann, "ListUsers")
    world.ask("DeleteAccessKey", UserName="ann", AccessKeyId=ann.access_key_id)
    world.ask("DeleteUserPolicy", UserName="ann", PolicyName="p0")
    world.ask("DeleteUser", UserName="ann")
    assert not world.may(ann, "ListUsers")


def test_nobody_without_a_policy_may_call_anything(world: World):
    """Every operation of the room, asked by a user without any policy."""
    ann = world.user("ann")
    params = {
        "UserName": "ann", "GroupName": "g", "RoleName": "r", "PolicyName": "p", "InstanceProfileName": "i", "Tags": [], "TagKeys": [],
        "PolicyArn": f"arn:aws:iam::{ACCOUNT}:policy/p", "Url": "https://x.example", "OpenIDConnectProviderArn": f"arn:aws:iam::{ACCOUNT}:oidc-provider/x",
        "AWSServiceName": "rds.amazonaws.com", "DeletionTaskId": "task/x/y", "AccessKeyId": ann.access_key_id, "PolicySourceArn": ann.arn,
        "SerialNumber": f"arn:aws:iam::{ACCOUNT}:mfa/x",
    }  # fmt: skip
    with world.asking(ann) as ctx:
        for name, operation in ROOMS["iam"].operations.items():
            demands = operation.access.demands(ctx, params)
            assert demands, f"{name} demands nothing"
            with pytest.raises(AccessDenied):
                world.gate.check(ctx, demands)
            ctx.found.clear()


def test_a_denial_does_not_tell_whether_something_exists(world: World):
    ann = world.user("ann")
    told = []
    for name in ("admin", "nobody"):
        with pytest.raises(AccessDenied) as denial:
            world.ask("GetUser", ann, UserName=name)
        told.append(denial.value.message.replace(name, "NAME"))
    assert told[0] == told[1]
    assert told[0] == (
        f"User: arn:aws:iam::{ACCOUNT}:user/ann is not authorized to perform: iam:GetUser on resource: user NAME because no "
        "identity-based policy allows the iam:GetUser action"
    )


def test_a_tag_on_something_new_asks_for_the_right_to_tag(world: World):
    ann = world.user("ann", allow("iam:CreateUser"))
    world.ask("CreateUser", ann, UserName="b")
    with pytest.raises(AccessDenied, match="iam:TagUser"):
        world.ask("CreateUser", ann, UserName="c", Tags=[{"Key": "a", "Value": "b"}])


def test_who_may_attach_only_one_policy_attaches_no_other(world: World):
    arn = "arn:aws:iam::aws:policy/ReadOnlyAccess"
    condition = {"ArnEquals": {"iam:PolicyARN": arn}}
    ann = world.user("ann", allow("iam:AttachUserPolicy", Condition=condition))
    world.ask("AttachUserPolicy", ann, UserName="ann", PolicyArn=arn)
    with pytest.raises(AccessDenied):
        world.ask("AttachUserPolicy", ann, UserName="ann", PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")


def test_who_must_set_a_boundary_cannot_leave_it_out(world: World):
    bound = world.ask("CreatePolicy", PolicyName="b", PolicyDocument=allow("iam:ListUsers"))["Policy"]["Arn"]
    condition = {"StringEquals": {"iam:PermissionsBoundary": bound}}
    ann = world.user("ann", allow("iam:CreateUser", "iam:PutUserPolicy", Condition=condition))
    with pytest.raises(AccessDenied):
        world.ask("CreateUser", ann, UserName="free")
    world.ask("CreateUser", ann, UserName="bounded", PermissionsBoundary=bound)
    world.ask("PutUserPolicy", ann, UserName="bounded", PolicyName="p", PolicyDocument=allow("*"))
    with pytest.raises(AccessDenied):
        world.ask("PutUserPolicy", ann, UserName="ann", PolicyName="p", PolicyDocument=allow("*"))


FORGERIES = [
    "UPDATE iam_principal SET account_id = '210987654321' WHERE name = 'ann'",
    "UPDATE iam_principal SET name = 'admin2' WHERE name = 'ann'",
    "UPDATE iam_principal SET boundary_id = NULL WHERE name = 'ann'",
    "UPDATE iam_principal SET tags = '{\"admin\":\"yes\"}' WHERE name = 'ann'",
    "UPDATE iam_principal SET holdings = (SELECT holdings FROM iam_principal WHERE name = 'admin') WHERE name = 'ann'",
    "UPDATE iam_principal SET mac = (SELECT mac FROM iam_principal WHERE name = 'admin') WHERE name = 'ann'",
    "UPDATE iam_principal SET revision = revision + 1 WHERE name = 'ann'",
    "UPDATE iam_inline_policy SET document = '{allow}' WHERE name = 'p0'",
    "DELETE FROM iam_inline_policy WHERE name = 'p1'",
    "INSERT INTO iam_attachment (owner_id, policy_id) SELECT id, 'ANPAIWMBCKSKIEE64ZLYK' FROM iam_principal WHERE name = 'ann'",
    "INSERT INTO iam_inline_policy (owner_id, name, document) SELECT id, 'x', '{allow}' FROM iam_principal WHERE name = 'ann'",
    (
        "INSERT INTO iam_membership (user_id, group_id) SELECT u.id, g.id FROM iam_principal u, iam_principal g "
        "WHERE u.name = 'ann' AND g.name = 'admins'"
    ),
    "UPDATE iam_policy SET digest = 'x'",
    "UPDATE iam_policy_version SET document = '{allow}'",
    "UPDATE iam_policy SET default_version = 2",
]


@pytest.mark.parametrize("sql", FORGERIES)
def test_a_row_that_was_changed_behind_our_back_gives_no_rights(world: World, sql: str):
    bound = world.ask("CreatePolicy", PolicyName="b", PolicyDocument=allow("iam:ListUsers"))["Policy"]["Arn"]
    world.ask("CreatePolicyVersion", PolicyArn=bound, PolicyDocument=allow("*"))
    world.ask("CreateGroup", GroupName="admins")
    world.ask("PutGroupPolicy", GroupName="admins", PolicyName="g", PolicyDocument=allow("*"))
    ann = world.user("ann", allow("iam:ListUsers"), deny("iam:ListRoles"), PermissionsBoundary=bound)
    changed = world.forge(sql.replace("{allow}", allow("*").replace("'", "''")))
    assert changed > 0
    world.rights = type(world.rights)(world.sealing)
    with pytest.raises(Unsealable), world.storage.reading() as tx:
        world.rights.of(tx, ann)


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE iam_access_key SET user_id = (SELECT id FROM iam_principal WHERE name = 'admin') WHERE id = :id",
        "UPDATE iam_access_key SET status = 'Active' WHERE id = :id",
        "UPDATE iam_access_key SET sealed = (SELECT sealed FROM iam_access_key WHERE id <> :id) WHERE id = :id",
        "UPDATE iam_access_key SET account_id = '210987654321' WHERE id = :id",
    ],
)
def test_a_key_that_was_changed_behind_our_back_opens_nothing(world: World, sql: str):
    ann = world.user("ann")
    world.ask("UpdateAccessKey", UserName="ann", AccessKeyId=ann.access_key_id, Status="Inactive")
    assert world.forge(sql, id=ann.access_key_id) == 1
    with pytest.raises(Unsealable):
        world.find(ann.access_key_id)


def test_an_account_is_made_once(world: World):
    with world.storage.writing() as tx:
        other = create_account(tx, world.sealing, OTHER_ACCOUNT, 0)
    assert world.caller_of(other.access_key_id).account == OTHER_ACCOUNT
    with pytest.raises(AccountExists), world.storage.writing() as tx:
        bootstrap(tx, world.sealing, ACCOUNT, 0)
    with pytest.raises(ValueError, match="twelve digits"), world.storage.writing() as tx:
        bootstrap(tx, world.sealing, "12", 0)


def test_accounts_do_not_see_each_other(world: World):
    with world.storage.writing() as tx:
        other = create_account(tx, world.sealing, OTHER_ACCOUNT, 0)
    stranger = world.caller_of(other.access_key_id)
    world.user("ann")
    assert [user["UserName"] for user in world.ask("ListUsers", stranger)["Users"]] == ["admin"]


def test_who_exists_may_be_named(world: World):
    world.user("ann", Path="/dev/")
    role = world.role(
        "app",
        '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"lambda.amazonaws.com"},"Action":"sts:AssumeRole"}]}',
    )
    cases = {
        "*": True,
        ACCOUNT: True,
        OTHER_ACCOUNT: False,
        f"arn:aws:iam::{ACCOUNT}:root": True,
        f"arn:aws:iam::{OTHER_ACCOUNT}:root": False,
        f"arn:aws:iam::{ACCOUNT}:user/dev/ann": True,
        f"arn:aws:iam::{ACCOUNT}:user/ann": False,
        f"arn:aws:iam::{ACCOUNT}:user/dev/Ann": False,
        role: True,
        f"arn:aws:iam::{ACCOUNT}:role/none": False,
        f"arn:aws:sts::{ACCOUNT}:assumed-role/app/s1": True,
        f"arn:aws:sts::{ACCOUNT}:assumed-role/none/s1": False,
        f"arn:aws:sts::{ACCOUNT}:federated-user/bob": True,
        f"arn:aws:iam::{ACCOUNT}:group/devs": False,
        "lambda.amazonaws.com": True,
        "not a service": False,
        "arn:aws-cn:iam::123456789012:root": False,
        "AIDAAAAAAAAAAAAAAAAAA": False,
        "": False,
    }
    with world.storage.reading() as tx:
        assert {name: world.directory.exists(tx, name) for name in cases} == cases


names = st.text(alphabet="ab-", min_size=1, max_size=3)
holdings = st.builds(
    Holdings,
    inline=st.dictionaries(names, st.text(max_size=5), max_size=3).map(lambda found: tuple(found.items())),
    attached=st.lists(names, max_size=3, unique=True).map(tuple),
    groups=st.lists(names, max_size=3, unique=True).map(tuple),
)


@given(holdings, holdings)
@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
def test_two_holdings_have_one_digest_only_if_they_are_equal(one: Holdings, other: Holdings):
    same = (dict(one.inline), set(one.attached), set(one.groups)) == (
        dict(other.inline),
        set(other.attached),
        set(other.groups),
    )
    assert (holdings_digest(one) == holdings_digest(other)) == same
