"""P15: to who may not know, what is there and what is not look the same. Every operation that names a thing is asked both."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from geumgo.pipeline import Pipeline
from geumgo.services import config, events, iam, kms, lambda_, secretsmanager, ssm, sts
from tests.functions.zips import ECHO, package
from tests.house import House, Key
from tests.promises.test_default_deny import NEEDS_NO_PERMISSION, smallest
from tests.promises.tricks import DENIED, allow, document, make_role, refused, trusts, user_arn

THERE, ABSENT = "there", "other"
ROOMS = (config.ROOM, events.ROOM, iam.ROOM, kms.ROOM, lambda_.ROOM, secretsmanager.ROOM, ssm.ROOM, sts.ROOM)
NAMES_A_THING = (
    "UserName", "GroupName", "RoleName", "PolicyArn", "PolicyName", "InstanceProfileName", "OpenIDConnectProviderArn", "PolicySourceArn",
    "SecretId", "Name", "KeyId", "TargetKeyId", "AliasName", "SourceKeyId", "DestinationKeyId", "RoleArn", "SecretIdList",
    "Rule", "EventBusName", "ResourceARN", "TargetArn", "ArchiveName", "ReplayName", "FunctionName",
    "Names", "ResourceId", "Path", "ResourceArn", "ConfigRuleName", "ConfigRuleNames",
)  # fmt: skip


def named(house: House, member: str, name: str, key_id: str) -> Any:
    """What a request says in `member` when it means the thing called `name`."""
    account = house.account
    if member in ("KeyId", "TargetKeyId", "SourceKeyId", "DestinationKeyId"):
        return key_id
    return {
        "PolicyArn": f"arn:aws:iam::{account}:policy/{name}",
        "PolicySourceArn": f"arn:aws:iam::{account}:user/{name}",
        "RoleArn": f"arn:aws:iam::{account}:role/{name}",
        "OpenIDConnectProviderArn": f"arn:aws:iam::{account}:oidc-provider/{name}.example.org",
        "AliasName": f"alias/{name}",
        "SecretIdList": [name],
        "ResourceARN": f"arn:aws:events:us-east-1:{account}:rule/{name}",
        "TargetArn": f"arn:aws:lambda:us-east-1:{account}:function:{name}",
        "Names": [name],
        "ConfigRuleNames": [name],
        "Path": f"/{name}/",
        "ResourceArn": f"arn:aws:ssm:us-east-1:{account}:parameter/{name}",
    }.get(member, name)


def operations() -> Iterator[tuple[str, str]]:
    for room in ROOMS:
        for name in sorted(room.operations):
            if not room.operations[name].access.unsigned and (room.service, name) not in NEEDS_NO_PERMISSION:
                yield room.service, name


def furnish(house: House) -> str:
    """One of each, called there. Answers the id of a key."""
    client = house.client("iam")
    house.client("secretsmanager").create_secret(Name=THERE, SecretString="x")
    house.client("ssm").put_parameter(Name=THERE, Value="x", Type="String")
    house.user(THERE)
    make_role(house, THERE, trusts(user_arn(house, "admin")))
    client.create_group(GroupName=THERE)
    client.create_policy(PolicyName=THERE, PolicyDocument=document(allow("kms:ListKeys")))
    client.create_instance_profile(InstanceProfileName=THERE)
    made = make_role(house, "runs", trusts({"Service": "lambda.amazonaws.com"}))
    code = {"ZipFile": package(ECHO)}
    house.client("lambda").create_function(
        FunctionName=THERE, Runtime="python3.12", Role=made, Handler="app.handler", Code=code
    )
    client.create_open_id_connect_provider(Url=f"https://{THERE}.example.org", ThumbprintList=["a" * 40])
    events_client = house.client("events")
    events_client.put_rule(Name=THERE, EventPattern='{"source": ["x"]}', Tags=[{"Key": "team", "Value": "red"}])
    bus = events_client.create_event_bus(Name=THERE)["EventBusArn"]
    events_client.create_archive(ArchiveName=THERE, EventSourceArn=bus)
    key_of_ours = {"ApiKeyAuthParameters": {"ApiKeyName": "X-Key", "ApiKeyValue": "k"}}
    connection = events_client.create_connection(Name=THERE, AuthorizationType="API_KEY", AuthParameters=key_of_ours)
    events_client.create_api_destination(
        Name=THERE,
        ConnectionArn=connection["ConnectionArn"],
        InvocationEndpoint="https://example.com/",
        HttpMethod="POST",
    )
    reads = client.create_service_linked_role(AWSServiceName="config.amazonaws.com")["Role"]["Arn"]
    rules = house.client("config")
    rules.put_configuration_recorder(ConfigurationRecorder={"name": THERE, "roleARN": reads})
    source = {"Owner": "AWS", "SourceIdentifier": "SECRETSMANAGER_SECRET_UNUSED"}
    rules.put_config_rule(
        ConfigRule={"ConfigRuleName": THERE, "Source": source}, Tags=[{"Key": "team", "Value": "red"}]
    )
    key: str = house.client("kms").create_key()["KeyMetadata"]["KeyId"]
    house.client("kms").create_alias(AliasName=f"alias/{THERE}", TargetKeyId=key)
    return key


def said(house: House, who: Key, service: str, operation: str, changed: dict[str, Any]) -> str:
    client = house.client(service, who)
    shape = client.meta.service_model.operation_model(operation).input_shape
    params = {**smallest(shape), **{name: value for name, value in changed.items() if name in shape.members}}
    with pytest.raises(ClientError) as refusal:
        client._make_api_call(operation, params)
    assert refusal.value.response["Error"]["Code"] in DENIED, (service, operation, params, refusal.value)
    return json.dumps(refusal.value.response["Error"], sort_keys=True)


def test_every_denial_is_the_same_for_what_is_there_and_what_is_not(house: House) -> None:
    key = furnish(house)
    nobody_has = "1234abcd-12ab-34cd-56ef-1234567890ab"
    eve = house.user("eve")
    differ, compared = [], 0
    for service, operation in operations():
        shape = house.client(service, eve).meta.service_model.operation_model(operation).input_shape
        members = [member for member in NAMES_A_THING if shape is not None and member in shape.members]
        if not members:
            continue
        compared += 1
        for present, absent in (
            (
                {m: named(house, m, THERE, key) for m in members},
                {m: named(house, m, ABSENT, nobody_has) for m in members},
            ),
            (
                {m: named(house, m, THERE, f"alias/{THERE}") for m in members},
                {m: named(house, m, ABSENT, f"alias/{ABSENT}") for m in members},
            ),
        ):
            one = said(house, eve, service, operation, present).replace(key, "...")
            two = said(house, eve, service, operation, absent).replace(nobody_has, "...")
            plain = re.sub(rf"\b({THERE}|{ABSENT})\b", "...", one), re.sub(rf"\b({THERE}|{ABSENT})\b", "...", two)
            if plain[0] != plain[1]:
                differ.append(f"{service}:{operation}\n    {one}\n    {two}")
    assert compared > 100
    assert not differ, "\n".join(differ)


def test_a_batch_does_not_tell_either(house: House) -> None:
    furnish(house)
    eve = house.user("eve", allow("secretsmanager:BatchGetSecretValue"))
    client = house.client("secretsmanager", eve)
    errors = client.batch_get_secret_value(SecretIdList=[THERE, ABSENT])["Errors"]
    assert [error["SecretId"] for error in errors] == [THERE, ABSENT]
    assert len({(error["ErrorCode"], error["Message"].replace(error["SecretId"], "...")) for error in errors}) == 1
    mine = house.client("secretsmanager", house.user("ann", allow("secretsmanager:*")))
    assert [value["Name"] for value in mine.batch_get_secret_value(SecretIdList=[THERE, ABSENT])["SecretValues"]] == [
        THERE
    ]


def test_a_name_with_dots_and_slashes_is_a_name_of_its_own(house: House) -> None:
    admin = house.client("secretsmanager")
    admin.create_secret(Name="prod", SecretString="prod")
    ann = house.client("secretsmanager", house.user("ann", allow("secretsmanager:*", on="arn:aws:secretsmanager:*:*:secret:app/*")))  # fmt: skip
    ann.create_secret(Name="app/../prod", SecretString="mine")
    assert ann.get_secret_value(SecretId="app/../prod")["SecretString"] == "mine"
    with refused():
        ann.get_secret_value(SecretId="prod")
    assert admin.get_secret_value(SecretId="prod")["SecretString"] == "prod"


# -- time: as many looks at the database, whatever is there and whatever is kept of it ----------------------------------

LOOKED_FOR = (
    ("secretsmanager", "get_secret_value", "SecretId", ""),
    ("secretsmanager", "describe_secret", "SecretId", ""),
    ("secretsmanager", "put_secret_value", "SecretId", ""),
    ("secretsmanager", "delete_secret", "SecretId", ""),
    ("ssm", "get_parameter", "Name", "/"),
    ("ssm", "delete_parameter", "Name", "/"),
    ("ssm", "get_parameter_history", "Name", "/"),
)  # fmt: skip


def looks(house: House, stranger: Key, service: str, operation: str, member: str, name: str) -> list[str]:
    """What the database is asked while somebody is denied."""
    storage: Any = house.app.storage
    begin, execute = storage.begin, storage.execute
    asked: list[str] = []

    def beginning(**how: bool) -> Any:
        asked.append("BEGIN")
        return begin(**how)

    def executing(sql: str, params: dict[str, Any]) -> Any:
        asked.append(sql)
        return execute(sql, params)

    storage.begin, storage.execute = beginning, executing
    try:
        more = {"SecretString": "x"} if operation == "put_secret_value" else {}
        with pytest.raises(ClientError) as refusal:
            getattr(house.client(service, stranger), operation)(**{member: name, **more})
        assert refusal.value.response["Error"]["Code"] in DENIED
    finally:
        del storage.begin, storage.execute
    return asked


def differing(house: House) -> list[str]:
    """The operations that look more or less often at the database for what is there."""
    stranger = house.user("stranger")
    house.client("secretsmanager").create_secret(Name=THERE, SecretString="x")
    house.client("ssm").put_parameter(Name=f"/{THERE}", Value="x", Type="String")
    found = []
    for service, operation, member, prefix in LOOKED_FOR:
        for _ in range(2):  # others read it, and it is kept
            house.client("secretsmanager").get_secret_value(SecretId=THERE)
            house.client("secretsmanager").describe_secret(SecretId=THERE)
            house.client("ssm").get_parameter(Name=f"/{THERE}")
        counts = [len(looks(house, stranger, service, operation, member, prefix + ABSENT)) for _ in range(2)]
        counts += [len(looks(house, stranger, service, operation, member, prefix + THERE)) for _ in range(2)]
        if len(set(counts[1:])) > 1:  # the first one of all finds out who the stranger is
            found.append(f"{operation}: {counts}")
    return found


def test_who_is_denied_waits_for_the_database_as_often_whatever_is_there(house: House) -> None:
    assert differing(house) == []


def test_a_pipeline_that_denies_by_what_it_has_kept_is_caught(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Pipeline, "_look_for_nothing", lambda *_: None)
    assert {each.partition(":")[0] for each in differing(house)} == {
        "get_secret_value",
        "describe_secret",
        "get_parameter",
    }
