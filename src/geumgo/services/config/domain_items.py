"""Configuration items: what a resource is like, as Config shows it. Pure.

Source: ConfigurationItem, API reference. Unverified: the members of `configuration`, which are those of DescribeSecret and
DescribeParameters.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from geumgo.services.config.domain_compliance import stamp
from geumgo.services.config.domain_rules import SecretFacts
from geumgo.services.config.records import SECRET

DISCOVERED: Final = "ResourceDiscovered"
CHANGED: Final = "OK"
DELETED: Final = "ResourceDeleted"


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen of a resource. Two that are equal are no change."""

    resource_type: str
    resource_id: str
    name: str
    created_at_ms: int | None
    tags: Mapping[str, str]
    configuration: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Item:
    """A configuration item: what was seen, and when (Unix milliseconds)."""

    seen: Seen
    status: str
    captured_at_ms: int


def of_secret(facts: SecretFacts) -> Seen:
    """Without the days of its use, which are no configuration."""
    times = {
        "CreatedDate": facts.created_at_ms,
        "LastChangedDate": facts.changed_at_ms,
        "LastRotatedDate": facts.rotated_at_ms,
        "NextRotationDate": facts.next_rotation_at_ms,
    }
    said = {
        "ARN": facts.arn,
        "Name": facts.name,
        "Description": facts.description,
        "KmsKeyId": facts.named_key,
        "RotationEnabled": facts.rotates,
        "RotationRules": dict(facts.rotation) if facts.rotation else None,
        **{name: None if at_ms is None else stamp(at_ms) for name, at_ms in times.items()},
    }
    configuration = {name: value for name, value in said.items() if value is not None}
    return Seen(SECRET, facts.arn, facts.name, facts.created_at_ms, dict(facts.tags or {}), configuration)


def next_item(before: Item | None, seen: Seen | None, now_ms: int) -> Item | None:
    """The item that follows `before` when this was seen, None: nothing has changed. `seen` None: the resource is gone."""
    if seen is None:
        if before is None or before.status == DELETED:
            return None
        return Item(before.seen, DELETED, now_ms)
    if before is None or before.status == DELETED:
        return Item(seen, DISCOVERED, now_ms)
    return None if before.seen == seen else Item(seen, CHANGED, now_ms)


def arn_of(item: Item, account: str, region: str, partition: str) -> str:
    """A secret's id is its ARN; a parameter's is its name."""
    if item.seen.resource_type == SECRET:
        return item.seen.resource_id
    return f"arn:{partition}:ssm:{region}:{account}:parameter/{item.seen.name.removeprefix('/')}"


def state_id(item: Item) -> str:
    """Differs between two items of a resource."""
    return str(item.captured_at_ms)


def md5_of(item: Item) -> str:
    """What clients compare; nothing is secured by it."""
    text = json.dumps([item.status, dict(item.seen.tags), dict(item.seen.configuration)], sort_keys=True)
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def queried(item: Item, account: str, region: str, partition: str) -> dict[str, Any]:
    """The item as SelectResourceConfig sees it. Source: the property lists of "awslabs/aws-config-resource-schema"."""
    said: dict[str, Any] = {
        "version": "1.3",
        "accountId": account,
        "configurationItemCaptureTime": stamp(item.captured_at_ms),
        "configurationItemStatus": item.status,
        "configurationStateId": state_id(item),
        "arn": arn_of(item, account, region, partition),
        "resourceType": item.seen.resource_type,
        "resourceId": item.seen.resource_id,
        "resourceName": item.seen.name,
        "awsRegion": region,
        "tags": [
            {"key": key, "value": value, "tag": f"{key}={value}"} for key, value in sorted(item.seen.tags.items())
        ],
        "relationships": [],
        "configuration": dict(item.seen.configuration),
        "supplementaryConfiguration": {},
    }
    if item.seen.created_at_ms is not None:
        said["resourceCreationTime"] = stamp(item.seen.created_at_ms)
    return said
