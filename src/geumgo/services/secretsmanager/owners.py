"""Secrets that another AWS service owns: made by it under its prefix (`rds!db-...`), and changed by nobody else.

Source: "Secrets managed by other AWS services", Secrets Manager User Guide. Unverified: the two messages.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from geumgo.context import Caller
from geumgo.services.secretsmanager.errors import InvalidParameter, InvalidRequest
from geumgo.services.secretsmanager.records import Secret

OWNING_SERVICE_TAG: Final = "aws:secretsmanager:owningService"

_HOSTS: Final[Mapping[str, frozenset[str]]] = {
    "rds": frozenset({"rds.amazonaws.com", "docdb.amazonaws.com"}),
    "redshift": frozenset({"redshift.amazonaws.com"}),
    "ecs-sc": frozenset({"ecs.amazonaws.com"}),
    **{
        name: frozenset({f"{name}.amazonaws.com"})
        for name in (
            "appflow", "databrew", "datasync", "directconnect", "events", "marketplace-deployment", "opsworks-cm", "pcs",
            "sqlworkbench",
        )
    },
}  # fmt: skip
"""Under which host names a service that owns secrets asks."""

_ROOMS: Final[Mapping[str, str]] = {"ecs-sc": "ecs"}
"""Under which name a service does its jobs, where that is not the one that its secrets begin with."""


def room_of(owner: str) -> str:
    """The service whose jobs are asked for the steps of a rotation."""
    return _ROOMS.get(owner, owner)


def owner_named(name: str) -> str | None:
    """The service whose secrets are called like `name`: what stands before the exclamation mark, if that is a service."""
    prefix, mark, _ = name.partition("!")
    return prefix if mark and prefix in _HOSTS else None


def acts_for(caller: Caller, owner: str) -> bool:
    """Whether `caller` is the service `owner`, somebody whose request came through it, a role that it took, or its service-linked role."""
    hosts = _HOSTS[owner]
    if caller.kind == "AWSService":
        return caller.name in hosts
    if caller.taken_by in hosts:
        return True
    if caller.via and caller.via[-1] in hosts:
        return True
    issuer = caller.session.issuer_arn if caller.session is not None else ""
    return any(f":role/aws-service-role/{host}/" in issuer for host in hosts)


def owner_of_new(caller: Caller, name: str) -> str | None:
    """The service that will own a secret that `caller` makes. Raises InvalidParameter if the name is kept for a service that he is not."""
    owner = owner_named(name)
    if owner is not None and not acts_for(caller, owner):
        raise InvalidParameter(
            f"Secret names that begin with {owner}! are reserved for secrets that AWS services manage."
        )
    return owner


def refuse_owned(caller: Caller, secret: Secret) -> None:
    """Raises InvalidRequest if a service owns the secret and `caller` does not act for it."""
    owner = secret.owning_service
    if owner is not None and not acts_for(caller, owner):
        raise InvalidRequest(
            f"You can't change this secret because it is managed by {owner}. Change it through that service."
        )


def disowned(secret: Secret) -> Secret:
    """The secret as one of the customer's own: no service owns it, and what services have noted on it (tags `aws:`) is off."""
    tags = {key: value for key, value in (secret.tags or {}).items() if not key.startswith("aws:")}
    return replace(secret, owning_service=None, tags=tags)
