"""What the tests of this room share: refusals to the letter, and short ways to put and to read."""

import contextlib
from collections.abc import Iterator
from typing import Any

from botocore.exceptions import ClientError

NAME_RULE = (
    'Parameter name: can\'t be prefixed with "aws" or "ssm" (case-insensitive). If formed as a path, it can consist of '
    "sub-paths divided by slash symbol; each sub-path can be formed as a mix of letters, numbers and the following 3 "
    "symbols .-_"
)


@contextlib.contextmanager
def refused(code: str, message: str | None = None) -> Iterator[None]:
    """The block is refused with this code and, if given, exactly this message."""
    try:
        yield
    except ClientError as refusal:
        error = refusal.response["Error"]
        assert (error["Code"], error["Message"]) == (code, error["Message"] if message is None else message)
    else:
        raise AssertionError(f"nothing was refused; expected {code}")


def put(ssm: Any, name: str, value: str = "v", **more: Any) -> Any:
    """A String parameter; over the one that is there with Overwrite=True."""
    kind = {} if more.get("Overwrite") else {"Type": "String"}
    return ssm.put_parameter(Name=name, Value=value, **{**kind, **more})


def value(ssm: Any, name: str, **more: Any) -> str:
    return str(ssm.get_parameter(Name=name, **more)["Parameter"]["Value"])


def secret(ssm: Any, name: str) -> str:
    return value(ssm, name, WithDecryption=True)


def names(page: Any) -> list[str]:
    return [each["Name"] for each in page["Parameters"]]


def all_names(client: Any, operation: str, **asked: Any) -> list[str]:
    """The names on every page."""
    return [name for page in client.get_paginator(operation).paginate(**asked) for name in names(page)]
