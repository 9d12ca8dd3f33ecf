"""What the tests of this room share: tokens, and refusals to the letter."""

import contextlib
from collections.abc import Iterator
from typing import Any

from botocore.exceptions import ClientError

EVERYTHING = {"Effect": "Allow", "Action": "*", "Resource": "*"}
DELETED = "You can't perform this operation on the secret because it was marked for deletion."
NO_SECRET = "Secrets Manager can't find the specified secret."
NO_KMS = "Access to KMS is not allowed"


def token(number: int) -> str:
    """A token of 32 characters; also the id of the version."""
    return f"v{number}-" + "0" * (31 - len(str(number)) - 1)


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


def put(sm: Any, number: int, labels: list[str] | None = None, name: str = "s") -> str:
    """Version `number` with its number as value. Answers its id."""
    more = {} if labels is None else {"VersionStages": labels}
    sm.put_secret_value(SecretId=name, SecretString=str(number), ClientRequestToken=token(number), **more)
    return token(number)
