"""Instances of a cluster: known by name, for the sake of configurations that say them. The cluster has the master user and its password."""

from collections.abc import Mapping
from dataclasses import replace

from geumgo.attached.domain import HOST_TAG, PORT_TAG, SECRET_TAG, where
from geumgo.context import Context, Params
from geumgo.sealing.random import letters, uuid
from geumgo.services.rds import domain, lookup, store
from geumgo.services.rds.attaching import kept_of, refuse_unserved, tags_of, valid
from geumgo.services.rds.errors import (
    ClusterStillHasInstances,
    InvalidParameterCombination,
    InvalidParameterValue,
    already_exists,
)
from geumgo.services.rds.records import AVAILABLE, CLUSTER, Database, Kind

_OF_THE_CLUSTER = (
    "DBName", "MasterUsername", "MasterUserPassword", "ManageMasterUserPassword", "MasterUserSecretKmsKeyId", "Port", "AllocatedStorage",
)  # fmt: skip


def join(ctx: Context, params: Params, kind: Kind) -> Database:
    """The instance is there at once, under the endpoint of its cluster unless its tags name one of its own.

    Raises:
        InvalidParameterCombination: the request says what the cluster says, or another engine. Unverified: the messages.
        DBInstanceAlreadyExists, DBClusterNotFoundFault.
    """
    refuse_unserved(params)
    member = lookup.MEMBER[kind]
    name = valid(lambda: domain.identifier(member, params[member]))
    cluster = lookup.get(ctx, "cluster", params[CLUSTER])
    if store.find(ctx.tx, ctx.sealing, ctx.place, kind, name) is not None:
        raise already_exists(kind)
    for said in _OF_THE_CLUSTER:
        if params.get(said):
            raise InvalidParameterCombination(
                f"{said} is managed by the DB cluster {cluster.identifier}, not by its instances."
            )
    if params["Engine"] != cluster.engine:
        raise InvalidParameterCombination(
            f"The engine name requested for your DB instance ({params['Engine']}) doesn't match {cluster.engine}."
        )
    tags = tags_of(params)
    found = valid(lambda: where(_completed(tags, cluster)))
    if found.secret:
        raise InvalidParameterValue(f"The tag {SECRET_TAG} belongs to the DB cluster.")
    database = replace(
        cluster,
        kind=kind,
        identifier=name,
        resource_id=f"{kind}-{letters(26).upper()}",
        host=found.host,
        port=found.port,
        tls=found.tls,
        kept={**kept_of(params, kind), CLUSTER: cluster.identifier},
        tags=tags,
        status=AVAILABLE,
        message="",
        task="",
        token=uuid(),
        secret_arn="",
        secret_status="",
        secret_key="",
        password=None,
        next_password=None,
        created_at_ms=ctx.clock.now_ms(),
        revision=1,
    )
    store.add(ctx.tx, ctx.sealing, database)
    return database


def _completed(tags: Mapping[str, str], cluster: Database) -> dict[str, str]:
    return {HOST_TAG: cluster.host, PORT_TAG: str(cluster.port), **tags}


def of(ctx: Context, cluster: Database) -> list[Database]:
    """The instances of a cluster, by identifier."""
    every = store.every(ctx.tx, ctx.sealing, ctx.place, "db")
    return [each for each in every if each.kept.get(CLUSTER) == cluster.identifier]


def refuse_if_any(ctx: Context, cluster: Database) -> None:
    """Raises InvalidDBClusterStateFault. Unverified: the message."""
    if any(each.task != "delete" for each in of(ctx, cluster)):
        raise ClusterStillHasInstances
