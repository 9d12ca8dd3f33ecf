"""The functions for what is not a database: access keys of IAM users, and keys that both sides read from the secret."""

import json
import uuid
from typing import Any

import pytest
from botocore.exceptions import ClientError

from geumgo.rotation_functions import api_key, iam_access_key
from geumgo.rotation_functions.steps import Rotation
from tests.rotation_functions.rotating import STEPS, Handler, event
from tests.server import Server

pytestmark = pytest.mark.usefixtures("function_environment")


def rotate(client: Any, arn: str, kind: type[Rotation], handler: Handler) -> None:
    token = str(uuid.uuid4())
    kind(event(arn, token, "createSecret")).create()  # type: ignore[attr-defined] # RotateSecret makes the empty version
    for step in STEPS:
        handler(event(arn, token, step), None)
    client.update_secret_version_stage(SecretId=arn, VersionStage="AWSPENDING", RemoveFromVersionId=token)


def new_secret(client: Any, text: str) -> str:
    return str(client.create_secret(Name=uuid.uuid4().hex, SecretString=text)["ARN"])


def test_a_key_is_new_and_the_one_before_is_the_previous_one(geumgo: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    client = geumgo.client("secretsmanager")
    monkeypatch.setenv("PREFIX", "gk_")
    arn = new_secret(client, "first")
    rotate(client, arn, api_key.ApiKey, api_key.lambda_handler)
    assert client.get_secret_value(SecretId=arn)["SecretString"].startswith("gk_")
    assert client.get_secret_value(SecretId=arn, VersionStage="AWSPREVIOUS")["SecretString"] == "first"


def test_a_key_among_others_is_changed_alone(geumgo: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    client = geumgo.client("secretsmanager")
    monkeypatch.setenv("SECRET_KEY", "token")
    arn = new_secret(client, '{"token": "first", "url": "https://example.com"}')
    rotate(client, arn, api_key.ApiKey, api_key.lambda_handler)
    value = json.loads(client.get_secret_value(SecretId=arn)["SecretString"])
    assert value["url"] == "https://example.com"
    assert value["token"] != "first"
    with pytest.raises(KeyError, match="token key is missing"):
        rotate(client, new_secret(client, "{}"), api_key.ApiKey, api_key.lambda_handler)


def test_the_current_and_the_previous_access_key_are_the_two_that_a_user_has(geumgo: Server) -> None:
    client, iam = geumgo.client("secretsmanager"), geumgo.client("iam")
    user = f"user-{uuid.uuid4().hex[:8]}"
    iam.create_user(UserName=user)
    arn = new_secret(client, json.dumps({"username": user, "note": "kept"}))
    seen = []
    for _ in range(4):
        rotate(client, arn, iam_access_key.AccessKey, iam_access_key.lambda_handler)
        value = json.loads(client.get_secret_value(SecretId=arn)["SecretString"])
        seen.append(value["accessKeyId"])
        assert value["note"] == "kept"
        key = (value["accessKeyId"], value["secretAccessKey"])
        assert geumgo.client("sts", key=key).get_caller_identity()["Arn"].endswith(f"user/{user}")
        assert keys_of(iam, user) == set(seen[-2:])
    assert len(set(seen)) == 4


def test_a_key_that_was_made_before_a_crash_makes_room_and_one_in_use_does_not(geumgo: Server) -> None:
    client, iam = geumgo.client("secretsmanager"), geumgo.client("iam")
    user = f"user-{uuid.uuid4().hex[:8]}"
    iam.create_user(UserName=user)
    arn = new_secret(client, json.dumps({"username": user}))
    rotate(client, arn, iam_access_key.AccessKey, iam_access_key.lambda_handler)
    iam.create_access_key(UserName=user)  # and the function was killed
    rotate(client, arn, iam_access_key.AccessKey, iam_access_key.lambda_handler)
    iam.delete_access_key(
        UserName=user,
        AccessKeyId=json.loads(client.get_secret_value(SecretId=arn, VersionStage="AWSPREVIOUS")["SecretString"])[
            "accessKeyId"
        ],
    )
    made = iam.create_access_key(UserName=user)["AccessKey"]
    geumgo.client("sts", key=(made["AccessKeyId"], made["SecretAccessKey"])).get_caller_identity()
    with pytest.raises(ClientError, match="LimitExceeded"):
        rotate(client, arn, iam_access_key.AccessKey, iam_access_key.lambda_handler)


def keys_of(iam: Any, user: str) -> set[str]:
    return {key["AccessKeyId"] for key in iam.list_access_keys(UserName=user)["AccessKeyMetadata"]}
