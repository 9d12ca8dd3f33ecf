"""Clusters: attach one, change how its admin password is kept, detach it, list them. Source: Redshift API reference."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final, TypeVar

from geumgo import paging
from geumgo.attached import master_secret
from geumgo.attached.domain import PORT_TAG, SECRET_TAG, BadValue, where
from geumgo.attached.records import AVAILABLE, CREATING, DELETING, RESETTING, Task
from geumgo.context import Context, Params
from geumgo.domain.storable import member_with_nul
from geumgo.domain.tags import BadTags, TooManyTags, merged_tags
from geumgo.jobs import promise
from geumgo.room import operation, reads
from geumgo.sealing import Plaintext
from geumgo.sealing.random import uuid
from geumgo.services.redshift import admin_secret, domain, lookup, store
from geumgo.services.redshift.admin_secret import OWNER
from geumgo.services.redshift.errors import (
    ClusterAlreadyExists,
    InvalidClusterState,
    InvalidParameterCombination,
    InvalidParameterValue,
    InvalidTag,
    TagLimitExceeded,
)
from geumgo.services.redshift.records import ENGINE, KIND, Cluster
from geumgo.services.redshift.shown import KEPT, described, status_of

Found = TypeVar("Found")

_UNSERVED: Final = (
    "AdditionalInfo", "AquaConfigurationStatus", "CatalogName", "DefaultIamRoleArn", "ElasticIp", "HsmClientCertificateIdentifier",
    "HsmConfigurationIdentifier", "IamRoles", "LoadSampleData", "NewClusterIdentifier", "RedshiftIdcApplicationArn",
    "SnapshotScheduleIdentifier",
)  # fmt: skip
_LEAST_RECORDS, _MOST_RECORDS = 20, 100

# -- attach -----------------------------------------------------------------------------------------------------------


@operation
def create_cluster(ctx: Context, params: Params) -> Params:
    """The cluster is known, and is logged in to as soon as this request is answered.

    Raises:
        InvalidParameterValue, InvalidParameterCombination: the request does not say where it is, or what its admin user logs in with.
        ClusterAlreadyExists, TagLimitExceededFault, InvalidTagFault.
    """
    _refuse_unserved(params)
    cluster = _described_by(ctx, params)
    if store.find(ctx.tx, ctx.sealing, ctx.place, KIND, cluster.identifier) is not None:
        raise ClusterAlreadyExists
    managed = bool(params.get("ManageMasterPassword"))
    _refuse_another_keeper(ctx, cluster, managed=managed)
    if managed:
        password = _known_password(ctx, params, cluster)
        cluster = admin_secret.make(ctx, cluster, password, params.get("MasterPasswordSecretKmsKeyId"))
    else:
        cluster = _with_own_password(ctx, params, cluster)
    store.add(ctx.tx, ctx.sealing, cluster)
    _promise_settling(ctx, cluster)
    return {"Cluster": described(cluster)}


def _described_by(ctx: Context, params: Params) -> Cluster:
    tags = tags_after(params.get("Tags", []), {})
    found = _valid(lambda: where(tags))
    if params.get("Port", found.port) != found.port:
        raise InvalidParameterCombination(f"Port is not the one that the tag {PORT_TAG} says.")
    now_ms = ctx.clock.now_ms()
    return Cluster(
        partition=ctx.place.partition,
        account=ctx.place.account,
        region=ctx.place.region,
        kind=KIND,
        identifier=_valid(lambda: domain.identifier(params["ClusterIdentifier"])),
        resource_id=uuid(),
        engine=ENGINE,
        host=found.host,
        port=found.port,
        tls=found.tls,
        database_name=_valid(lambda: domain.database(params.get("DBName", domain.DEFAULT_DATABASE))),
        username=_valid(lambda: domain.username(params["MasterUsername"])),
        created_at_ms=now_ms,
        kept=_kept_of(params),
        tags=tags,
        status=CREATING,
        task="attach",
        token=uuid(),
        asked_at_ms=now_ms,
    )


def _refuse_another_keeper(ctx: Context, cluster: Cluster, *, managed: bool) -> None:
    """A password that is managed has one keeper: two would change it under each other. Raises InvalidParameterCombination."""
    for other in store.every(ctx.tx, ctx.sealing, ctx.place, KIND):
        same = (other.host, other.port, other.username) == (cluster.host, cluster.port, cluster.username)
        if same and other.identifier != cluster.identifier and (managed or other.secret_arn):
            raise InvalidParameterCombination(f"The admin user of this cluster is looked after as {other.arn} already.")


def _known_password(ctx: Context, params: Params, cluster: Cluster) -> Plaintext:
    """What the admin user of a cluster that is to be managed logs in with so far. AWS makes the cluster and needs no such thing."""
    if "MasterUserPassword" in params:
        raise InvalidParameterCombination("You can't use MasterUserPassword if ManageMasterPassword is true.")
    secret = cluster.tags.get(SECRET_TAG)
    if secret is None:
        raise InvalidParameterValue(
            "The cluster has an admin password already, and the server must log in with it once. Name a secret that holds it (JSON with "
            f"username and password) in the tag {SECRET_TAG}; or attach the cluster with MasterUserPassword, and let it be managed "
            "afterwards."
        )
    return _valid(lambda: master_secret.password_in(ctx, secret, cluster.username))


def _with_own_password(ctx: Context, params: Params, cluster: Cluster) -> Cluster:
    """The password is that which the cluster has already: what a new one may be is not asked of it."""
    if "MasterPasswordSecretKmsKeyId" in params:
        raise InvalidParameterCombination(
            "You can only use MasterPasswordSecretKmsKeyId if ManageMasterPassword is true."
        )
    password = params.get("MasterUserPassword", "")
    if not password:
        raise InvalidParameterValue("The parameter MasterUserPassword must be provided and must not be blank.")
    return replace(cluster, password=store.seal(ctx.sealing, cluster, Plaintext(password.encode())))


def tags_after(added: list[dict[str, str]], tags: dict[str, str]) -> dict[str, str]:
    """Raises InvalidTagFault, TagLimitExceededFault."""
    try:
        return merged_tags(tags, added)
    except TooManyTags as fault:
        raise TagLimitExceeded(str(fault)) from None
    except BadTags as fault:
        raise InvalidTag(str(fault)) from None


def _kept_of(params: Params) -> dict[str, Any]:
    return {name: params[name] for name in KEPT if name in params}


def _valid(check: Callable[[], Found]) -> Found:
    try:
        return check()
    except BadValue as fault:
        raise InvalidParameterValue(str(fault)) from None


def _refuse_unserved(params: Params) -> None:
    """Raises InvalidParameterCombination for what cannot be done to a cluster that runs elsewhere, InvalidParameterValue for NUL."""
    member = member_with_nul(params)
    if member is not None:
        raise InvalidParameterValue(f"The parameter {member} has a character that is not allowed.")
    for name in _UNSERVED:
        if params.get(name):
            raise InvalidParameterCombination(f"{name} is not served here: the cluster runs elsewhere.")


def _promise_settling(ctx: Context, cluster: Cluster) -> None:
    """What is to be done to the cluster is done as soon as this transaction has committed."""
    promise(
        ctx.tx,
        OWNER.settle,
        cluster.place,
        {"kind": cluster.kind, "identifier": cluster.identifier},
        run_at_ms=ctx.clock.now_ms(),
        lock=f"{OWNER.rotate_step}:{cluster.secret_arn or cluster.arn}",
        dedup=f"{OWNER.settle}:{cluster.arn}",
    )


# -- modify -----------------------------------------------------------------------------------------------------------


@operation
def modify_cluster(ctx: Context, params: Params) -> Params:
    """Another admin password, another keeper of it, other words about the machine. A password is changed after the answer.

    Source: ModifyCluster, API reference.
    """
    _refuse_unserved(params)
    before = lookup.get(ctx, params["ClusterIdentifier"])
    if params.get("Port", before.port) != before.port:
        raise InvalidParameterCombination("The port of a cluster cannot be changed here: it runs elsewhere.")
    cluster = replace(before, kept={**before.kept, **_kept_of(params)})
    task = _task(cluster, params)
    if task:
        _refuse_unless_available(before)
        cluster = _asked(ctx, params, cluster, task)
        _promise_settling(ctx, cluster)
    if cluster != before:
        store.save(ctx.tx, ctx.sealing, cluster)
    return {"Cluster": described(cluster)}


def _refuse_unless_available(cluster: Cluster) -> None:
    """Unverified: the message."""
    if cluster.status != AVAILABLE:
        raise InvalidClusterState(f"The cluster is not available. It is {status_of(cluster)}.")


def _task(cluster: Cluster, params: Params) -> Task:
    """What the request asks to be done. Unverified: the messages."""
    managed, wanted = bool(cluster.secret_arn), params.get("ManageMasterPassword")
    will_be = managed if wanted is None else wanted
    password = "MasterUserPassword" in params
    if password and will_be:
        raise InvalidParameterCombination("You can't use MasterUserPassword if ManageMasterPassword is true.")
    if managed and not will_be and not password:
        raise InvalidParameterCombination(
            "You must specify MasterUserPassword when ManageMasterPassword is turned off."
        )
    if "MasterPasswordSecretKmsKeyId" in params and (managed or not will_be):
        raise InvalidParameterCombination(
            "MasterPasswordSecretKmsKeyId can be specified only when ManageMasterPassword is turned on."
        )
    if password:
        _valid(lambda: domain.new_password(params["MasterUserPassword"]))
    if managed != will_be:
        return "manage" if will_be else "unmanage"
    return "change" if password else ""


def _asked(ctx: Context, params: Params, cluster: Cluster, task: Task) -> Cluster:
    now_ms = ctx.clock.now_ms()
    asked = replace(cluster, task=task, token=uuid(), asked_at_ms=now_ms, status=RESETTING, message="")
    if task == "manage":
        _refuse_another_keeper(ctx, asked, managed=True)
        assert asked.password is not None, "a password that is not managed is kept here"
        password = store.unseal(ctx.sealing, asked, asked.password)
        return replace(
            admin_secret.make(ctx, asked, password, params.get("MasterPasswordSecretKmsKeyId")), password=None
        )
    sealed = store.seal(ctx.sealing, asked, Plaintext(params["MasterUserPassword"].encode()))
    return replace(asked, next_password=sealed)


# -- detach -----------------------------------------------------------------------------------------------------------


@operation
def delete_cluster(ctx: Context, params: Params) -> Params:
    """The cluster is forgotten, and goes on running. Its managed secret can be restored for 30 days: nothing else knows the password.

    Source: DeleteCluster, API reference. Unverified: the messages.
    """
    before = lookup.get(ctx, params["ClusterIdentifier"])
    if params.get("FinalClusterSnapshotIdentifier"):
        raise InvalidParameterCombination(
            "Snapshots are not made here: the cluster goes on running. Use SkipFinalClusterSnapshot."
        )
    if not params.get("SkipFinalClusterSnapshot"):
        raise InvalidParameterCombination(
            "FinalClusterSnapshotIdentifier is required unless SkipFinalClusterSnapshot is specified."
        )
    if before.status == DELETING:
        _refuse_unless_available(before)
    cluster = replace(before, status=DELETING, task="delete", token=uuid(), asked_at_ms=ctx.clock.now_ms(), message="")
    store.save(ctx.tx, ctx.sealing, cluster)
    _promise_settling(ctx, cluster)
    return {"Cluster": described(cluster)}


# -- list -------------------------------------------------------------------------------------------------------------


@reads
def describe_clusters(ctx: Context, params: Params) -> Params:
    """Source: DescribeClusters, API reference: one tag of those that are asked for is enough."""
    size = page_size(params)
    given = params.get("ClusterIdentifier")
    if given is not None and "Marker" in params:
        raise InvalidParameterCombination("ClusterIdentifier and Marker cannot be specified together.")
    asked: Params = {name: params[name] for name in ("TagKeys", "TagValues") if name in params}
    after = position(ctx, "DescribeClusters", asked, params)
    every = (
        store.every(ctx.tx, ctx.sealing, ctx.place, KIND, after=after) if given is None else [lookup.get(ctx, given)]
    )
    found = [each for each in every if _has_tag(each, params)]
    answer: Params = {"Clusters": [described(each) for each in found[:size]]}
    if len(found) > size:
        answer["Marker"] = paging.make_token(ctx, "redshift", "DescribeClusters", asked, (found[size - 1].identifier,))
    return answer


def page_size(params: Params) -> int:
    """Raises InvalidParameterValue. Unverified: the message."""
    size: int = params.get("MaxRecords", _MOST_RECORDS)
    if not _LEAST_RECORDS <= size <= _MOST_RECORDS:
        raise InvalidParameterValue(
            f"Invalid value {size} for MaxRecords. Must be between {_LEAST_RECORDS} and {_MOST_RECORDS}"
        )
    return size


def position(ctx: Context, operation_name: str, asked: Params, params: Params) -> str:
    """Behind what the page begins. Raises InvalidParameterValue."""
    try:
        found = paging.read_token(ctx, "redshift", operation_name, asked, params.get("Marker") or None)
    except paging.NotOurs:
        raise InvalidParameterValue("The parameter Marker is invalid.") from None
    return "" if found is None else str(found[0])


def _has_tag(cluster: Cluster, params: Params) -> bool:
    keys, values = params.get("TagKeys", []), params.get("TagValues", [])
    return (not keys or any(key in cluster.tags for key in keys)) and (
        not values or any(value in cluster.tags.values() for value in values)
    )
