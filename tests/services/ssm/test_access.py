"""Who may read what: one ARN for every spelling, condition keys, denials below a path, other accounts, secrets by reference."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from structlog.testing import capture_logs

from geumgo import app
from geumgo.pipeline import Pipeline
from tests.house import House
from tests.promises.tricks import OTHER_ACCOUNT, allow, deny, document, other_account
from tests.services.ssm.asking import names, put, refused, secret, value


def client(house: House, *statements: dict[str, Any]) -> Any:
    return house.client("ssm", house.user("ann", *statements))


def arn(house: House, path: str) -> str:
    return f"arn:aws:ssm:us-east-1:{house.account}:parameter{path}"


@contextmanager
def denied(message: str | None = None) -> Iterator[None]:
    with refused("AccessDeniedException", message):
        yield


# -- one parameter, one ARN -------------------------------------------------------------------------------------------


def test_no_spelling_leads_around_a_denial(house: House) -> None:
    admin = house.client("ssm")
    for name in ("root", "/open", "/a/b"):
        put(admin, name)
    admin.label_parameter_version(Name="root", Labels=["live"])
    ann = client(
        house, allow("ssm:*"), deny("ssm:GetParameter*", on=arn(house, "/root")), deny("ssm:GetParameter*", on=arn(house, "/a/*"))
    )  # fmt: skip
    for spelled in ("root", "/root", " root ", "root:1", "/root:live", "root:none", arn(house, "/root"), f"{arn(house, '/root')}:1",
                    "/a/b", "/a/b:1", arn(house, "/a/b"), "/a/none"):  # fmt: skip
        with denied():
            ann.get_parameter(Name=spelled)
        with denied():
            ann.get_parameters(Names=["/open", spelled])
    assert ann.get_parameter(Name="open")["Parameter"]["Value"] == "v"
    for spelled in ("root", arn(house, "/root")):
        with denied():
            ann.get_parameter_history(Name=spelled)


def test_a_denial_says_what_was_asked_for(house: House) -> None:
    ann = client(house)
    with denied(
        f"User: arn:aws:iam::{house.account}:user/ann is not authorized to perform: ssm:GetParameter on resource: {arn(house, '/x/y')} "
        "because no identity-based policy allows the ssm:GetParameter action"
    ):
        ann.get_parameter(Name="/x/y")


def test_each_name_of_several_is_asked_for(house: House) -> None:
    admin = house.client("ssm")
    for name in ("/mine", "/other"):
        put(admin, name)
    ann = client(house, allow("ssm:GetParameters", "ssm:DeleteParameters", on=arn(house, "/mine")))
    assert ann.get_parameters(Names=["mine"])["Parameters"]
    for call in (lambda: ann.get_parameters(Names=["/mine", "/other"]), lambda: ann.get_parameters(Names=["/mine", "not a name"]),
                 lambda: ann.delete_parameters(Names=["/mine", "/other"])):  # fmt: skip
        with denied():
            call()
    assert ann.delete_parameters(Names=["/mine"])["DeletedParameters"] == ["/mine"]


def test_condition_keys_of_a_put(house: House) -> None:
    admin = house.client("ssm")
    ann = client(
        house,
        allow("ssm:*", "kms:*"),
        deny("ssm:PutParameter", Condition={"StringEquals": {"ssm:Overwrite": "true"}}),
        deny("ssm:PutParameter", Condition={"StringEquals": {"ssm:Policies": "true"}}),
        deny("ssm:*", Condition={"StringEquals": {"ssm:resourceTag/kept": "yes"}}),
        deny("ssm:AddTagsToResource", Condition={"ForAnyValue:StringEquals": {"aws:TagKeys": "owner"}}),
    )
    put(ann, "/new")
    with denied():
        put(ann, "/new", Overwrite=True)
    never = '[{"Type":"NoChangeNotification","Version":"1.0","Attributes":{"After":"20","Unit":"Days"}}]'
    with denied():
        put(ann, "/other", Policies=never, Tier="Advanced")
    with denied():
        put(ann, "/other", Tags=[{"Key": "owner", "Value": "ann"}])
    with denied():  # nobody tags himself, or a new parameter, out of reach
        put(ann, "/other", Tags=[{"Key": "kept", "Value": "yes"}])
    with denied():
        ann.add_tags_to_resource(ResourceType="Parameter", ResourceId="/new", Tags=[{"Key": "kept", "Value": "yes"}])
    admin.add_tags_to_resource(ResourceType="Parameter", ResourceId="/new", Tags=[{"Key": "kept", "Value": "yes"}])
    for call in (lambda: ann.get_parameter(Name="/new"), lambda: ann.delete_parameter(Name="/new"),
                 lambda: ann.remove_tags_from_resource(ResourceType="Parameter", ResourceId="/new", TagKeys=["kept"])):  # fmt: skip
        with denied():
            call()


def test_a_right_follows_the_tags_of_a_parameter(house: House) -> None:
    admin = house.client("ssm")
    put(admin, "/blue", Tags=[{"Key": "team", "Value": "blue"}])
    put(admin, "/red", Tags=[{"Key": "team", "Value": "red"}])
    ann = client(house, allow("ssm:GetParameter", Condition={"StringEquals": {"aws:ResourceTag/team": "blue"}}))
    assert value(ann, "/blue") == "v"
    with denied():
        ann.get_parameter(Name="/red")


def test_a_secure_string_needs_the_key_too(house: House) -> None:
    admin, kms = house.client("ssm"), house.client("kms")
    key = kms.create_key()["KeyMetadata"]["Arn"]
    put(admin, "/s", "x", Type="SecureString", KeyId=key)
    put(admin, "/default", "x", Type="SecureString")
    ann = client(house, allow("ssm:*"))
    assert value(ann, "/s") != "x"
    assert secret(ann, "/default") == "x"
    for call in (lambda: secret(ann, "/s"), lambda: ann.get_parameters(Names=["/s"], WithDecryption=True),
                 lambda: ann.get_parameters_by_path(Path="/", WithDecryption=True),
                 lambda: ann.put_parameter(Name="/s2", Value="y", Type="SecureString", KeyId=key)):  # fmt: skip
        with denied():
            call()
    through = {"StringEquals": {"kms:ViaService": "ssm.us-east-1.amazonaws.com", "kms:EncryptionContext:PARAMETER_ARN": arn(house, "/s")}}  # fmt: skip
    house.client("iam").put_user_policy(UserName="ann", PolicyName="key", PolicyDocument=document(allow("kms:Decrypt", on=key, Condition=through)))  # fmt: skip
    assert secret(ann, "/s") == "x"


# -- below a path -----------------------------------------------------------------------------------------------------


@pytest.fixture
def tree(house: House) -> Any:
    admin = house.client("ssm")
    for name in ("/a/1", "/a/b/2", "/a/b/3", "/a/c"):
        put(admin, name)
    return admin


@pytest.mark.parametrize("action", ["ssm:GetParameter", "ssm:GetParameters", "ssm:GetParametersByPath", "ssm:*"])
def test_what_is_denied_below_a_path_is_left_out(house: House, tree: Any, action: str) -> None:
    ann = client(house, allow("ssm:GetParametersByPath"), deny(action, on=arn(house, "/a/b/*")))
    assert names(ann.get_parameters_by_path(Path="/a", Recursive=True)) == ["/a/1", "/a/c"]
    found: list[str] = []
    token: dict[str, str] = {}
    while True:
        page = ann.get_parameters_by_path(Path="/", Recursive=True, MaxResults=1, **token)
        found += names(page)
        if "NextToken" not in page:
            break
        token = {"NextToken": page["NextToken"]}
    assert found == ["/a/1", "/a/c"]


def test_the_operator_may_have_it_as_aws_has_it(house: House, tree: Any) -> None:
    ann = client(house, allow("ssm:GetParametersByPath"), deny("ssm:*", on=arn(house, "/a/b/*")))
    house.app.pipeline = Pipeline(replace(house.app.pipeline._parts, honour_child_denies=False))
    assert names(ann.get_parameters_by_path(Path="/a", Recursive=True)) == ["/a/1", "/a/b/2", "/a/b/3", "/a/c"]


def test_the_path_itself_is_what_must_be_allowed(house: House, tree: Any) -> None:
    ann = client(house, allow("ssm:GetParametersByPath", on=arn(house, "/a/*")), deny("ssm:GetParametersByPath", on=arn(house, "/a/b")))  # fmt: skip
    assert names(ann.get_parameters_by_path(Path="/a/", Recursive=False)) == ["/a/1", "/a/c"]
    for path in ("/a", "/", "/a/b", "/ab", "/a/b/"):  # the slash at the end leads around nothing
        with denied():
            ann.get_parameters_by_path(Path=path)


def test_the_depth_can_be_denied(house: House, tree: Any) -> None:
    ann = client(
        house,
        allow("ssm:GetParametersByPath"),
        deny("ssm:GetParametersByPath", on=arn(house, "/*"), Condition={"StringEquals": {"ssm:Recursive": "true"}}),
    )
    with denied():
        ann.get_parameters_by_path(Path="/a", Recursive=True)


# -- other accounts ---------------------------------------------------------------------------------------------------


def policy_of(answer: dict[str, Any]) -> dict[str, str]:
    """The id and the hash of a policy that was put."""
    return {"PolicyId": answer["PolicyId"], "PolicyHash": answer["PolicyHash"]}


READING = ("ssm:GetParameter", "ssm:GetParameters", "ssm:GetParameterHistory", "ssm:DescribeParameters")


def sharing(house: House, path: str, who: str, *actions: str) -> str:
    return document({**allow(*(actions or READING), on=arn(house, path)), "Principal": {"AWS": who}})


def test_a_parameter_is_shared_with_another_account_by_its_policy(house_on_each: House) -> None:
    house = house_on_each
    admin, kms, other = house.client("ssm"), house.client("kms"), other_account(house)
    theirs = other.client("ssm")
    put(admin, "/shared/p", "value", Tier="Advanced")
    put(admin, "/private", Tier="Advanced")
    for name in (arn(house, "/shared/p"), arn(house, "/private"), arn(house, "/none")):
        with denied():
            theirs.get_parameter(Name=name)
    made = policy_of(
        admin.put_resource_policy(
            ResourceArn=arn(house, "/shared/p"), Policy=sharing(house, "/shared/p", OTHER_ACCOUNT)
        )
    )
    got = theirs.get_parameter(Name=arn(house, "/shared/p"))["Parameter"]
    assert (got["Value"], got["Name"], got["ARN"]) == ("value", arn(house, "/shared/p"), arn(house, "/shared/p"))
    assert theirs.get_parameters(Names=[arn(house, "/shared/p")])["Parameters"][0]["Value"] == "value"
    assert theirs.get_parameter_history(Name=arn(house, "/shared/p"))["Parameters"]
    assert names(theirs.describe_parameters(Shared=True)) == [arn(house, "/shared/p")]
    assert names(theirs.describe_parameters()) == []
    assert names(admin.describe_parameters(Shared=True)) == []
    with denied():
        theirs.get_parameters(Names=[arn(house, "/shared/p"), arn(house, "/private")])
    with denied():
        theirs.delete_resource_policy(ResourceArn=arn(house, "/shared/p"), **made)
    shown = admin.get_resource_policies(ResourceArn=arn(house, "/shared/p"))["Policies"]
    assert [(each["PolicyId"], each["PolicyHash"]) for each in shown] == [(made["PolicyId"], made["PolicyHash"])]
    assert json.loads(shown[0]["Policy"])["Statement"][0]["Action"] == list(READING)
    key = kms.create_key()["KeyMetadata"]
    put(admin, "/shared/s", "secret", Type="SecureString", KeyId=key["Arn"], Tier="Advanced")
    admin.put_resource_policy(ResourceArn=arn(house, "/shared/s"), Policy=sharing(house, "/shared/s", OTHER_ACCOUNT))
    with denied():
        theirs.get_parameter(Name=arn(house, "/shared/s"), WithDecryption=True)
    policy = json.loads(kms.get_key_policy(KeyId=key["KeyId"], PolicyName="default")["Policy"])
    policy["Statement"].append({**allow("kms:Decrypt"), "Principal": {"AWS": OTHER_ACCOUNT}})
    kms.put_key_policy(KeyId=key["KeyId"], PolicyName="default", Policy=json.dumps(policy))
    assert secret(theirs, arn(house, "/shared/s")) == "secret"
    admin.delete_resource_policy(ResourceArn=arn(house, "/shared/p"), **made)
    with denied():
        theirs.get_parameter(Name=arn(house, "/shared/p"))


@pytest.mark.unverified
def test_policies_that_no_parameter_takes(house: House) -> None:
    admin = house.client("ssm")
    put(admin, "/p", Tier="Advanced")
    put(admin, "/standard")
    put(admin, "/default", Tier="Advanced", Type="SecureString")
    where = arn(house, "/p")
    good = sharing(house, "/p", house.account)
    for code, asked in [
        ("ResourceNotFoundException", {"ResourceArn": arn(house, "/none"), "Policy": good}),
        ("ResourceNotFoundException", {"ResourceArn": f"{where}:1", "Policy": good}),
        ("ResourceNotFoundException", {"ResourceArn": f"arn:aws:ssm:us-east-1:{house.account}:opsitemgroup/default", "Policy": good}),
        ("ResourcePolicyInvalidParameterException", {"ResourceArn": arn(house, "/standard"), "Policy": good}),
        ("ResourcePolicyInvalidParameterException", {"ResourceArn": arn(house, "/default"), "Policy": good}),
        ("ResourcePolicyInvalidParameterException", {"ResourceArn": where, "Policy": good, "PolicyId": "x"}),
        ("ResourcePolicyNotFoundException", {"ResourceArn": where, "Policy": good, "PolicyId": "x", "PolicyHash": "y"}),
        ("ResourcePolicyLimitExceededException", {"ResourceArn": where, "Policy": good + " " * 1024}),
        ("MalformedResourcePolicyDocumentException", {"ResourceArn": where, "Policy": "{"}),
        ("MalformedResourcePolicyDocumentException", {"ResourceArn": where, "Policy": sharing(house, "/p", house.account, "ssm:PutParameter")}),
        ("MalformedResourcePolicyDocumentException", {"ResourceArn": where, "Policy": sharing(house, "/p", house.account, "ssm:*")}),
        ("MalformedResourcePolicyDocumentException", {"ResourceArn": where, "Policy": sharing(house, "/q", house.account)}),
        ("MalformedResourcePolicyDocumentException", {"ResourceArn": where, "Policy": sharing(house, "/p", "arn:aws:iam::111122223333:user/gone")}),
        ("MalformedResourcePolicyDocumentException", {"ResourceArn": where, "Policy": good.replace("Allow", "Deny")}),
    ]:  # fmt: skip
        with refused(code):
            admin.put_resource_policy(**asked)
    made = policy_of(admin.put_resource_policy(ResourceArn=where, Policy=good))
    with refused("ResourcePolicyLimitExceededException"):
        admin.put_resource_policy(ResourceArn=where, Policy=good)
    with refused("ResourcePolicyConflictException"):
        admin.put_resource_policy(ResourceArn=where, Policy=good, PolicyId=made["PolicyId"], PolicyHash="old")
    with refused("ResourcePolicyConflictException"):
        admin.delete_resource_policy(ResourceArn=where, PolicyId=made["PolicyId"], PolicyHash="old")
    with refused("ResourcePolicyNotFoundException"):
        admin.delete_resource_policy(ResourceArn=where, PolicyId="x", PolicyHash=made["PolicyHash"])
    changed = policy_of(
        admin.put_resource_policy(
            ResourceArn=where, Policy=sharing(house, "/p", house.account, "ssm:GetParameter"), **made
        )
    )
    assert changed["PolicyId"] == made["PolicyId"]
    assert changed["PolicyHash"] != made["PolicyHash"]
    put(admin, "/p", "still there", Overwrite=True)
    assert len(admin.get_resource_policies(ResourceArn=where)["Policies"]) == 1
    admin.delete_resource_policy(ResourceArn=where, **changed)
    assert admin.get_resource_policies(ResourceArn=where)["Policies"] == []


# -- secrets by reference ---------------------------------------------------------------------------------------------

REF = "/aws/reference/secretsmanager/"
NO_DECRYPTION = "WithDecryption flag must be True for retrieving a Secret Manager secret."
DEPENDENCY = "An error occurred while calling one AWS dependency service."


def test_a_reference_gives_the_secret(house_on_each: House) -> None:
    ssm, sm = house_on_each.client("ssm"), house_on_each.client("secretsmanager")
    made = sm.create_secret(Name="app/db", SecretString="first")
    sm.put_secret_value(SecretId="app/db", SecretString="second")
    got = ssm.get_parameter(Name=f"{REF}app/db", WithDecryption=True)["Parameter"]
    source = json.loads(got.pop("SourceResult"))
    assert got == {
        "Name": f"{REF}app/db", "Type": "SecureString", "Value": "second", "Version": 0, "ARN": made["ARN"],
        "LastModifiedDate": sm.get_secret_value(SecretId="app/db")["CreatedDate"],
    }  # fmt: skip
    assert list(source) == ["ARN", "name", "versionId", "secretString", "versionStages", "createdDate"]
    assert (source["name"], source["secretString"], source["versionStages"]) == ("app/db", "second", ["AWSCURRENT"])
    for selector in ("AWSPREVIOUS", made["VersionId"]):
        got = ssm.get_parameter(Name=f"{REF}app/db:{selector}", WithDecryption=True)["Parameter"]
        assert (got["Value"], got["Selector"], got["Name"]) == ("first", f":{selector}", f"{REF}app/db")
    put(ssm, "/plain", "plain")
    asked = [f"{REF}app/db", f"{REF}app/db:AWSPREVIOUS", f"{REF}none", f"{REF}app/db:NO", f"{REF}app/db:a:b", "/plain"]
    answer = ssm.get_parameters(Names=asked, WithDecryption=True)
    assert sorted(each["Value"] for each in answer["Parameters"]) == ["first", "plain", "second"]
    assert answer["InvalidParameters"] == [f"{REF}none", f"{REF}app/db:NO", f"{REF}app/db:a:b"]
    answer = ssm.get_parameters(Names=[f"{REF}app/db", "/plain"])
    assert (names(answer), answer["InvalidParameters"]) == (["/plain"], [f"{REF}app/db"])


def test_references_that_lead_nowhere(house: House) -> None:
    ssm, sm = house.client("ssm"), house.client("secretsmanager")
    sm.create_secret(Name="db", SecretString="x")
    sm.create_secret(Name="gone", SecretString="x")
    sm.delete_secret(SecretId="gone")
    sm.create_secret(Name="bytes", SecretBinary=b"abc")
    nowhere = (
        "An error occurred (ParameterNotFound) when referencing Secrets Manager: Secret aws/reference/secretsmanager"
    )
    selector = (
        "Invalid parameter name. Please use correct syntax for referencing a version/label  <name>:<version/label>"
    )
    for name, decrypted, code, message in [
        ("db", False, "ValidationException", NO_DECRYPTION),
        ("none", False, "ValidationException", NO_DECRYPTION),
        ("none", True, "ParameterNotFound", f"{nowhere}/nonenull not found."),
        ("db:NO", True, "ParameterNotFound", f"{nowhere}/db:NO not found."),
        (f"db:{'v' * 40}", True, "ParameterNotFound", f"{nowhere}/db:{'v' * 40} not found."),
        ("a b", True, "ParameterNotFound", f"{nowhere}/a bnull not found."),
        ("db:", False, "ValidationException", selector),
        ("db:a:b", True, "ValidationException", selector),
        ("", True, "ValidationException", selector),
        ("gone", True, "ValidationException", "Invalid Request to Secrets Manager"),
    ]:
        with refused(code, message):
            ssm.get_parameter(Name=f"{REF}{name}", WithDecryption=decrypted)
    got = ssm.get_parameter(Name=f"{REF}bytes", WithDecryption=True)["Parameter"]
    assert (got["Type"], "Value" in got) == ("SecureString", False)
    for call in (lambda: ssm.get_parameter_history(Name=f"{REF}db"), lambda: ssm.delete_parameter(Name=f"{REF}db")):
        with refused("ParameterNotFound"):
            call()
    assert names(ssm.get_parameters_by_path(Path=REF, WithDecryption=True)) == []


def test_a_reference_passes_both_gates(house: House) -> None:
    made = house.client("secretsmanager").create_secret(Name="db", SecretString="x")["ARN"]
    ann = client(house, allow("ssm:GetParameter", "ssm:GetParameters"))
    for name in ("db", "none"):
        with refused("ValidationException", DEPENDENCY):
            ann.get_parameter(Name=f"{REF}{name}", WithDecryption=True)
        with refused("ValidationException", DEPENDENCY):
            ann.get_parameters(Names=[f"{REF}{name}"], WithDecryption=True)
    iam = house.client("iam")
    iam.put_user_policy(UserName="ann", PolicyName="secret", PolicyDocument=document(allow("secretsmanager:GetSecretValue", on=made)))  # fmt: skip
    assert secret(ann, f"{REF}db") == "x"
    iam.put_user_policy(UserName="ann", PolicyName="only", PolicyDocument=document(allow("secretsmanager:*")))
    with denied():
        ann.get_parameter(Name=f"{REF}db", WithDecryption=True)


def test_an_explanation_knows_the_policy_of_a_parameter(house: House) -> None:
    put(house.client("ssm"), "/p", Tier="Advanced")
    house.user("ann")
    who = f"arn:aws:iam::{house.account}:user/ann"
    where = arn(house, "/p")
    house.client("ssm").put_resource_policy(ResourceArn=where, Policy=sharing(house, "/p", who, "ssm:GetParameter"))
    for action, resource, allowed in (
        ("ssm:GetParameter", where, True),
        ("ssm:PutParameter", where, False),
        ("ssm:GetParametersByPath", f"{where}/", False),
        ("ssm:GetDocument", where.replace("parameter", "document"), False),
    ):
        assert app.explain(house.settings, who, action, resource, {}).allowed is allowed


# -- what stays ---------------------------------------------------------------------------------------------------------


def test_no_value_reaches_the_trail_the_database_or_a_message(house: House) -> None:
    ssm, canaries = house.client("ssm"), [f"canary-{number}-{'x' * 20}" for number in range(5)]
    put(ssm, "/1", canaries[0])
    put(ssm, "/2", f"{canaries[1]},a", Type="StringList")
    put(ssm, "/3", canaries[2], Type="SecureString")
    put(ssm, "/4", canaries[3], Type="SecureString", Tier="Advanced")
    house.client("secretsmanager").create_secret(Name="s", SecretString=canaries[4])
    ssm.get_parameters(Names=["/1", "/2", "/3", "/4", f"{REF}s"], WithDecryption=True)
    ssm.get_parameters_by_path(Path="/", Recursive=True, WithDecryption=True)
    ssm.get_parameter_history(Name="/3", WithDecryption=True)
    for bad in ({"AllowedPattern": "a"}, {"DataType": "integer"}, {"Type": "Wrong"}):
        with pytest.raises(ClientError) as refusal:
            ssm.put_parameter(**{"Name": "/5", "Value": canaries[0], "Type": "String", **bad})
        assert canaries[0] not in str(refusal.value)
    house.close()
    kept = b"".join(each.read_bytes() for each in Path(house.settings.data).rglob("*") if each.is_file())
    assert not [canary for canary in canaries if canary.encode() in kept]
    assert b"/3" in kept


def test_a_forged_row_fails_closed(house: House) -> None:
    ssm = house.client("ssm")
    put(ssm, "/1", "one", Tier="Advanced")
    put(ssm, "/2", "two")
    ssm.put_resource_policy(ResourceArn=arn(house, "/1"), Policy=sharing(house, "/1", house.account))
    forgeries = [
        "UPDATE ssm_parameter SET path = '/3' WHERE path = '/1'",
        'UPDATE ssm_parameter SET tags = \'{"team":"blue"}\'',
        "UPDATE ssm_parameter SET expires_at_ms = 1",
        "UPDATE ssm_parameter SET labels = '{\"live\":1}'",
        "UPDATE ssm_resource_policy SET document = '{}'",
        "DELETE FROM ssm_resource_policy",
        "UPDATE ssm_parameter_version SET kind = 'StringList'",
        "UPDATE ssm_parameter_version SET sealed = (SELECT sealed FROM ssm_parameter_version WHERE tier = 'Standard')",
        "DELETE FROM ssm_parameter_version",
    ]
    for forgery in forgeries:
        undo = []
        with house.app.storage.reading() as tx:
            for table in ("ssm_parameter", "ssm_parameter_version", "ssm_resource_policy"):
                undo.append((table, tx.all(f"SELECT * FROM {table}")))
        with house.app.storage.writing() as tx:
            assert tx.run(forgery) > 0
        for name in ("/1", "/3"):
            with capture_logs(), pytest.raises(ClientError) as refusal:
                ssm.get_parameter(Name=name)
            assert refusal.value.response["Error"]["Code"] in ("InternalServiceError", "ParameterNotFound"), forgery
        with house.app.storage.writing() as tx:
            for table, rows in undo:
                tx.run(f"DELETE FROM {table}")
                for row in rows:
                    cells = {f"c{number}": cell for number, cell in enumerate(row)}
                    tx.run(f"INSERT INTO {table} VALUES ({', '.join(f':{name}' for name in cells)})", **cells)
        assert value(ssm, "/1") == "one"
