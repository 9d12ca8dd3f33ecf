"""A real botocore client: what it sends is read, what is answered it understands."""

from typing import Any

import botocore.session
import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.config import Config
from botocore.exceptions import ClientError

from geumgo import protocol
from geumgo.context import Caller
from geumgo.errors import ServiceError
from geumgo.message import Answer, Request
from tests.services.iam.world import ACCOUNT, ROOMS, World, allow, trusting


class Wire:
    """A client whose requests end in the rooms of a world, as `caller`, without a socket between."""

    def __init__(self, world: World, caller: Caller | None = None) -> None:
        self.world = world
        self.caller = caller or world.admin
        self.models = {name: protocol.models.load(name) for name in ROOMS}

    def client(self, service: str) -> Any:
        client = botocore.session.Session().create_client(
            service,
            region_name="us-east-1",
            endpoint_url="http://127.0.0.1:7373",
            aws_access_key_id="AKIAIOSFODNN7EXAMPLE",
            aws_secret_access_key="secret",
            config=Config(retries={"max_attempts": 1}),
        )
        client.meta.events.register("before-send", self.send)
        return client

    def send(self, request: AWSPreparedRequest, **_: Any) -> AWSResponse:
        body = request.body if isinstance(request.body, bytes) else str(request.body).encode()
        headers = tuple(
            (name.lower().encode(), value if isinstance(value, bytes) else str(value).encode())
            for name, value in request.headers.items()
        )
        answer = self.answer(
            Request(
                method=request.method,
                target=b"/",
                headers=headers,
                body=body,
                peer="192.0.2.1",
                secure=True,
                id="r-1",
                received_at_ms=self.world.clock.now_ms(),
            )
        )
        return _Response(request.url, answer)

    def answer(self, request: Request) -> Answer:
        signing_name = "sts" if b"2011-06-15" in request.body else "iam"
        call = protocol.route.find(self.models, request, signing_name)
        try:
            params = protocol.decode(call, request)
            answer = self.world.ask(call.operation.name, self.caller, call.service.name, **params)
        except ServiceError as refusal:
            return protocol.encode_error(call, refusal, request.id)
        return protocol.encode(call, answer, request.id)


class _Response(AWSResponse):  # type: ignore[misc]
    """botocore's response, with its body at hand."""

    def __init__(self, url: str, answer: Answer) -> None:
        headers = {name.decode(): value.decode() for name, value in answer.headers}
        super().__init__(url, answer.status, headers, None)
        self._content = answer.body


def test_the_life_of_a_user_on_the_wire(world: World):
    iam = Wire(world).client("iam")
    made = iam.create_user(UserName="ann", Path="/x/", Tags=[{"Key": "team", "Value": "db"}])["User"]
    assert made["Arn"] == f"arn:aws:iam::{ACCOUNT}:user/x/ann"
    assert made["CreateDate"].timestamp() * 1000 == world.clock.now_ms()
    iam.put_user_policy(UserName="ann", PolicyName="p", PolicyDocument=allow("s3:*"))
    assert iam.get_user_policy(UserName="ann", PolicyName="p")["PolicyDocument"]["Statement"][0]["Action"] == ["s3:*"]
    key = iam.create_access_key(UserName="ann")["AccessKey"]
    assert world.find(key["AccessKeyId"]) is not None
    pages = iam.get_paginator("list_users").paginate(PaginationConfig={"PageSize": 1})
    assert [user["UserName"] for page in pages for user in page["Users"]] == ["admin", "ann"]


def test_a_refusal_on_the_wire_has_awss_code_status_and_words(world: World):
    iam = Wire(world).client("iam")
    with pytest.raises(iam.exceptions.NoSuchEntityException) as refusal:
        iam.get_user(UserName="nobody")
    response = refusal.value.response
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 404
    assert response["Error"]["Message"] == "The user with name nobody cannot be found."
    assert response["Error"]["Type"] == "Sender"
    ann = Wire(world, world.user("ann")).client("iam")
    with pytest.raises(ClientError) as denial:
        ann.list_users()
    assert denial.value.response["Error"]["Code"] == "AccessDenied"
    assert denial.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403


@pytest.mark.parametrize(
    ("operation", "params", "code", "status"),
    [
        ("create_user", {"UserName": "admin"}, "EntityAlreadyExists", 409),
        ("create_user", {"UserName": "a b"}, "ValidationError", 400),
        ("delete_user", {"UserName": "admin"}, "DeleteConflict", 409),
        ("get_credential_report", {}, "ReportNotPresent", 410),
        ("create_policy", {"PolicyName": "p", "PolicyDocument": "{"}, "MalformedPolicyDocument", 400),
        ("create_login_profile", {"UserName": "admin", "Password": "x"}, "PasswordPolicyViolation", 400),
    ],
)
def test_each_refusal_keeps_its_code(world: World, operation: str, params: dict[str, Any], code: str, status: int):
    with pytest.raises(ClientError) as refusal:
        getattr(Wire(world).client("iam"), operation)(**params)
    assert refusal.value.response["Error"]["Code"] == code
    assert refusal.value.response["ResponseMetadata"]["HTTPStatusCode"] == status


def test_reports_and_details_reach_a_client(world: World):
    iam = Wire(world).client("iam")
    world.role("app", trusting({"AWS": ACCOUNT}), allow("s3:*"))
    iam.generate_credential_report()
    assert iam.get_credential_report()["Content"].startswith(b"user,arn,")
    role = iam.get_account_authorization_details(Filter=["Role"])["RoleDetailList"][0]
    assert role["AssumeRolePolicyDocument"]["Statement"][0]["Principal"] == {"AWS": ACCOUNT}
    assert iam.get_account_summary()["SummaryMap"]["Users"] == 1
    assert (
        iam.get_policy(PolicyArn="arn:aws:iam::aws:policy/SecretsManagerReadWrite")["Policy"]["DefaultVersionId"]
        == "v6"
    )
    assert iam.get_role(RoleName="app")["Role"]["RoleLastUsed"] == {}


def test_a_session_on_the_wire(world: World):
    sts = Wire(world).client("sts")
    assert sts.get_caller_identity()["Arn"] == world.admin.arn
    arn = world.role("app", trusting({"AWS": ACCOUNT}))
    answer = sts.assume_role(RoleArn=arn, RoleSessionName="s1", DurationSeconds=900)
    assert answer["Credentials"]["Expiration"].timestamp() * 1000 == world.clock.now_ms() + 900_000
    session = world.caller_with(answer["Credentials"])
    assert Wire(world, session).client("sts").get_caller_identity()["Arn"] == answer["AssumedRoleUser"]["Arn"]
    with pytest.raises(ClientError) as refusal:
        sts.assume_role(RoleArn="nothing-valid-in-here", RoleSessionName="s1")
    assert refusal.value.response["Error"] == {
        "Type": "Sender",
        "Code": "ValidationError",
        "Message": "nothing-valid-in-here is invalid",
    }
