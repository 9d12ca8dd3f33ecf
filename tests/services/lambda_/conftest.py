import json
from typing import Any

import pytest

from tests.functions.zips import ECHO, package
from tests.house import House

TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
        ],
    }
)


@pytest.fixture
def functions(house: House) -> Any:
    """The administrator's client of Lambda."""
    return house.client("lambda")


@pytest.fixture
def role(house: House) -> str:
    """A role that Lambda may assume, without any permission."""
    made: str = house.client("iam").create_role(RoleName="runs", AssumeRolePolicyDocument=TRUST)["Role"]["Arn"]
    return made


@pytest.fixture
def make(functions: Any, role: str) -> Any:
    """Makes a function of `code` (app.handler), by default one that answers its event."""

    def make(name: str = "echo", code: str = ECHO, **more: Any) -> Any:
        given = {
            "Runtime": "python3.12",
            "Role": role,
            "Handler": "app.handler",
            "Code": {"ZipFile": package(code)},
            **more,
        }
        return functions.create_function(FunctionName=name, **given)

    return make
