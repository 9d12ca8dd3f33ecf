"""Data types: what a value must look like that says it is a number, an address, a document.

Source: "Parameter data types in Parameter Store", user guide (values are checked when they are put, each item of a StringList by itself;
which types cannot be changed); PutParameter, API reference (the names; which ones need an advanced parameter). Unverified: how exactly
AWS checks each type, and the messages but the one for an unknown type.
"""

import ipaddress
import json
import re
from collections.abc import Callable
from typing import Final
from urllib.parse import urlsplit

from geumgo.services.ssm.errors import UnsupportedParameterType, ValidationFailed

TEXT: Final = "text"
IMAGE: Final = "aws:ec2:image"
INTEGRATION: Final = "aws:ssm:integration"
ONLY_ADVANCED: Final = frozenset({"url", "json", "jsonc"})
WEBHOOKS: Final = "/d9d01087-4a3f-49e0-b0b4-d568d7826553/ssm/integrations/webhook/"
"""Where the parameters of Automation's integrations lie. Source: "Creating integrations for Automation", user guide."""

_FIXED: Final = frozenset({IMAGE, INTEGRATION})
_AMI: Final = re.compile(r"ami-(?:[0-9a-f]{8}|[0-9a-f]{17})")
_REGION: Final = re.compile(r"[a-z]{2,}(?:-[a-z]+)+-\d{1,2}", re.ASCII)
_LABEL: Final = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_HOST: Final = re.compile(rf"{_LABEL}(?:\.{_LABEL})*\.?")
_EMAIL: Final = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@(?P<host>[^@]{1,255})")
_BASE64: Final = re.compile(r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")
_FLOAT: Final = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
_COMMENTS: Final = re.compile(r'("(?:[^"\\]|\\.)*+"?)|//[^\n]*+|/\*(?:[^*]|\*(?!/))*+\*/')


def refuse_unknown(data_type: str) -> None:
    """Raises ValidationFailed for a data type that is none. Source of the message: moto."""
    if data_type not in _CHECKS and data_type not in {TEXT, IMAGE, INTEGRATION}:
        raise ValidationFailed(
            f"The following data type is not supported: {data_type} (Data type names are all lowercase.)"
        )


def refuse_change(before: str, after: str) -> None:
    """Raises ValidationFailed unless a parameter may change from one data type to the other."""
    if before != after and (before in _FIXED or after in _FIXED):
        raise ValidationFailed(f"The data type of a parameter can't be changed from {before} to {after}.")


def refuse_value(data_type: str, kind: str, name: str, value: str) -> None:
    """Raises unless `value`, of the parameter type `kind`, is what `data_type` says. The value is not repeated.

    An image is looked at later, see `is_image`. Raises UnsupportedParameterType, ValidationFailed.
    """
    if data_type == IMAGE and kind != "String":
        raise UnsupportedParameterType(f"The data type {data_type} is supported for parameters of type String only.")
    if data_type == INTEGRATION and (kind != "SecureString" or not name.startswith(WEBHOOKS)):
        raise ValidationFailed(
            f"The data type {data_type} is supported for parameters of type SecureString under {WEBHOOKS} only."
        )
    check = _CHECKS.get(data_type)
    if check is None:
        return
    for item in value.split(",") if kind == "StringList" else [value]:
        if not check(item):
            raise ValidationFailed(f"The parameter value doesn't conform to the data type {data_type}.")


def is_image(value: str) -> bool:
    """Whether `value` looks like the id of a machine image. Source: "Native parameter support for AMI IDs", user guide."""
    return _AMI.fullmatch(value) is not None


def _is_integer(text: str) -> bool:
    return re.fullmatch(r"[+-]?\d+", text, re.ASCII) is not None


def _is_address(version: int) -> Callable[[str], bool]:
    def check(text: str) -> bool:
        try:
            return ipaddress.ip_address(text).version == version
        except ValueError:
            return False

    return check


def _is_host(text: str) -> bool:
    return len(text) <= 253 and _HOST.fullmatch(text) is not None


def _is_email(text: str) -> bool:
    found = _EMAIL.fullmatch(text)
    return found is not None and _is_host(found["host"])


def _is_url(text: str) -> bool:
    try:
        found = urlsplit(text)
        return bool(found.scheme and found.netloc and found.hostname) and not re.search(r"\s", text)
    except ValueError:
        return False


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _is_jsonc(text: str) -> bool:
    return _is_json(_COMMENTS.sub(lambda found: found[1] or " ", text))


_CHECKS: Final[dict[str, Callable[[str], bool]]] = {
    "aws:region": lambda text: _REGION.fullmatch(text) is not None,
    "aws:account:id": lambda text: re.fullmatch(r"\d{12}", text, re.ASCII) is not None,
    "boolean": lambda text: text in ("true", "false"),
    "integer": _is_integer,
    "float": lambda text: _FLOAT.fullmatch(text) is not None,
    "binary": lambda text: _BASE64.fullmatch(text) is not None,
    "hostname": _is_host,
    "email": _is_email,
    "ipv4-address": _is_address(4),
    "ipv6-address": _is_address(6),
    "url": _is_url,
    "json": _is_json,
    "jsonc": _is_jsonc,
}
