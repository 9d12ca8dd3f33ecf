"""How layers are named."""

import re
from typing import Final

from geumgo.services.lambda_.errors import InvalidParameterValue

_NAME: Final = re.compile(r"[a-zA-Z0-9-_]{1,140}")
_VERSION: Final = re.compile(
    r"arn:[a-z-]+:lambda:([a-z0-9-]+):(\d{12}):layer:([a-zA-Z0-9-_]{1,140}):(\d{1,18})", re.ASCII
)


def name_in(text: str, account: str, region: str) -> str:
    """The name of the layer that a LayerName means: a name, or the ARN of a layer of this account and region.

    Raises InvalidParameterValue. Unverified: the message.
    """
    if not text.startswith("arn:"):
        found = text
    else:
        parts = text.split(":")
        found = parts[6] if len(parts) == 7 and (parts[3], parts[4]) == (region, account) else ""
    if not _NAME.fullmatch(found):
        raise InvalidParameterValue(f"Not the name of a layer of this account and region: {text}")
    return found


def read_version_arn(arn: str) -> tuple[str, str, str, int] | None:
    """Account, region, name and number of the version of a layer; None if it is not the ARN of one."""
    found = _VERSION.fullmatch(arn)
    return None if found is None else (found[2], found[1], found[3], int(found[4]))
