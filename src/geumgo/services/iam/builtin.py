"""AWS's own managed policies, as far as they are known here: one JSON file each in `aws_managed`.

They are found by id and by name alike, never stored, and never changed. `DiffersFromAWS` in a file says where its document does.
Source: AWS Managed Policy Reference Guide. Unverified: ids (AWS does not publish them; those with GEUMGO in them are ours).
"""

import json
from functools import cache
from importlib.resources import files
from typing import Any

from geumgo.services.iam.domain import AWS_ACCOUNT, digest, name_key
from geumgo.services.iam.records import ManagedPolicy, PolicyVersion

ADMINISTRATOR = "AdministratorAccess"


def by_id(policy_id: str) -> ManagedPolicy | None:
    return _all().get(policy_id)


def by_name(name: str) -> ManagedPolicy | None:
    """AWS's policy called `name`, in any case."""
    return next((policy for policy in _all().values() if name_key(policy.name) == name_key(name)), None)


def every() -> tuple[ManagedPolicy, ...]:
    """All of them, by name."""
    return tuple(sorted(_all().values(), key=lambda policy: name_key(policy.name)))


def version(policy_id: str) -> PolicyVersion | None:
    """The one version of one of AWS's policies, or None if the id is not one of theirs."""
    return _versions().get(policy_id)


@cache
def _all() -> dict[str, ManagedPolicy]:
    found = [_policy(raw) for raw in _raw().values()]
    assert len({policy.id for policy in found}) == len(found), "two of AWS's policies share an id"
    return {policy.id: policy for policy in found}


@cache
def _versions() -> dict[str, PolicyVersion]:
    return {
        raw["PolicyId"]: PolicyVersion(raw["PolicyId"], raw["Version"], _document(raw), raw["CreatedAtMs"])
        for raw in _raw().values()
    }


@cache
def _raw() -> dict[str, dict[str, Any]]:
    folder = files("geumgo.services.iam") / "aws_managed"
    return {file.name: json.loads(file.read_text()) for file in folder.iterdir() if file.name.endswith(".json")}


def _policy(raw: dict[str, Any]) -> ManagedPolicy:
    return ManagedPolicy(
        id=raw["PolicyId"],
        account=AWS_ACCOUNT,
        name=raw["PolicyName"],
        path=raw["Path"],
        description=raw["Description"],
        tags={},
        default_version=raw["Version"],
        next_version=raw["Version"] + 1,
        digest=digest(_document(raw)),
        created_at_ms=raw["CreatedAtMs"],
        updated_at_ms=raw["CreatedAtMs"],
    )


def _document(raw: dict[str, Any]) -> str:
    return json.dumps(raw["Document"], indent=4)
