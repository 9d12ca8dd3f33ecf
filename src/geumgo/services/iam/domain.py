"""The room's pure rules: names, ARNs, pages, tags, quotas, and the digest that seals what a principal holds."""

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeVar

from geumgo.services.iam.records import Holdings

Item = TypeVar("Item")

AWS_ACCOUNT: Final = "aws"
PAGE_SIZE: Final = 100  # items; MaxItems if it is not given. Source: ListUsers, API reference

# Quotas. Source: "IAM and AWS STS quotas", IAM User Guide; GetAccountSummary's key names.
QUOTAS: Final[Mapping[str, int]] = {
    "UsersQuota": 5000,
    "GroupsQuota": 300,
    "RolesQuota": 1000,
    "PoliciesQuota": 1500,
    "InstanceProfilesQuota": 1000,
    "GroupsPerUserQuota": 10,
    "AccessKeysPerUserQuota": 2,
    "AttachedPoliciesPerUserQuota": 10,
    "AttachedPoliciesPerGroupQuota": 10,
    "AttachedPoliciesPerRoleQuota": 10,
    "VersionsPerPolicyQuota": 5,
    "UserPolicySizeQuota": 2048,
    "GroupPolicySizeQuota": 5120,
    "RolePolicySizeQuota": 10240,
    "PolicySizeQuota": 6144,
    "AssumeRolePolicySizeQuota": 2048,
    "PolicyVersionsInUseQuota": 10000,
    "ServerCertificatesQuota": 20,
    "SigningCertificatesPerUserQuota": 2,
}
PROVIDERS_QUOTA: Final = 100
TAGS_QUOTA: Final = 50


_NAME: Final = re.compile(r"[\w+=,.@-]{1,128}", re.ASCII)
_INSIDE_PATH: Final = re.compile(r"[\x21-\x7e]{0,510}")
_ISSUER: Final = re.compile(r"[A-Za-z0-9.-]{1,253}(?::[0-9]{1,5})?(?:/[\x21\x22\x24-\x3e\x40-\x7e]*)?")


class PolicyName(NamedTuple):
    """An ARN of a managed policy, taken apart. The path begins and ends with a slash."""

    account: str
    path: str
    name: str


def name_key(name: str) -> str:
    """Names that differ in case only are one name. Source: CreateUser, API reference."""
    return name.lower()


def parse_iam_arn(arn: str, resource_type: str) -> PolicyName | None:
    """The account, path and name of an ARN of `resource_type` ("policy", "role", "user" ...), or None if it is something else."""
    parts = arn.split(":", 5)
    if len(parts) != 6 or parts[0] != "arn" or parts[2] != "iam" or parts[3]:
        return None
    kind, slash, rest = parts[5].partition("/")
    before, _, name = rest.rpartition("/")
    if kind != resource_type or not slash or not _NAME.fullmatch(name) or not _INSIDE_PATH.fullmatch(before):
        return None
    return PolicyName(parts[4], f"/{before}/" if before else "/", name)


def may_be_issuer(text: str) -> bool:
    """Whether `text` has the form of a provider's URL without its scheme: a host, perhaps a port and a path, nothing else."""
    return _ISSUER.fullmatch(text) is not None


def version_id(number: int) -> str:
    return f"v{number}"


def version_number(version: str) -> int | None:
    """The number in "v3", or None if it is no version id."""
    digits = version[1:]
    return int(digits) if version[:1] == "v" and digits.isascii() and digits.isdigit() and len(digits) < 10 else None


def holdings_digest(held: Holdings) -> str:
    """SHA-256 (hex) over what a principal holds. Two holdings have one digest only if they are equal."""
    inline = {name: digest(document) for name, document in held.inline}
    text = json.dumps(
        {"inline": inline, "attached": sorted(held.attached), "groups": sorted(held.groups)}, sort_keys=True
    )
    return digest(text)


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def size_without_white_space(document: str) -> int:
    """How many characters of a policy count against its quota. Source: IAM quotas ("IAM doesn't count white space")."""
    return sum(1 for character in document if not character.isspace())


class BadMarker(ValueError):
    """The marker was not given out by us."""


def encode_marker(key: str) -> str:
    return base64.urlsafe_b64encode(key.encode()).decode()


def decode_marker(marker: str) -> str:
    """The key after which the next page begins. Raises BadMarker."""
    try:
        return base64.b64decode(marker.encode(), altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        raise BadMarker(marker) from None


def page_of(
    items: Iterable[Item], key: Callable[[Item], str], marker: str | None, size: int
) -> tuple[Sequence[Item], str | None]:
    """The items after `marker` in the order of their keys, at most `size`, and the marker of the next page if there is one.

    Raises BadMarker.
    """
    after = decode_marker(marker) if marker is not None else ""
    rest = sorted((item for item in items if marker is None or key(item) > after), key=key)
    shown = rest[:size]
    return shown, encode_marker(key(shown[-1])) if len(rest) > size else None


def tags_of(given: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in given}


def has_twins(keys: Sequence[str]) -> bool:
    """Whether two keys differ in case only, or not at all. Source: tag keys are not case sensitive, IAM User Guide."""
    return len({key.lower() for key in keys}) < len(keys)


def with_tags(tags: Mapping[str, str], added: Mapping[str, str]) -> dict[str, str]:
    """The tags after `added` came on. A key that differs in case only replaces the old one."""
    new = {key.lower() for key in added}
    return {key: value for key, value in tags.items() if key.lower() not in new} | dict(added)


def without_tags(tags: Mapping[str, str], removed: Iterable[str]) -> dict[str, str]:
    gone = {key.lower() for key in removed}
    return {key: value for key, value in tags.items() if key.lower() not in gone}


def issuer_of(url: str) -> str:
    """How a provider's URL stands in ARNs and condition keys: without its scheme and its last slash."""
    return url.removeprefix("https://").rstrip("/")
