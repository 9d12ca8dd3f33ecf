"""What instances and clusters have in common: attach a database, change how its master password is kept, detach it, list them."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final, TypeVar

from geumgo import paging
from geumgo.attached import master_secret as secrets
from geumgo.attached.domain import PORT_TAG, SECRET_TAG, BadValue, where
from geumgo.context import Context, Params
from geumgo.domain.storable import member_with_nul
from geumgo.domain.tags import BadTags, merged_tags
from geumgo.jobs import promise
from geumgo.sealing import Plaintext
from geumgo.sealing.random import letters, uuid
from geumgo.services.rds import domain, lookup, master_secret, shown, store
from geumgo.services.rds.errors import (
    InvalidParameterCombination,
    InvalidParameterValue,
    already_exists,
    not_available,
    not_found,
)
from geumgo.services.rds.records import AVAILABLE, CLUSTER, CREATING, DELETING, RESETTING, Database, Kind, Task

Found = TypeVar("Found")

_DATABASE_NAME: Final[dict[Kind, str]] = {"db": "DBName", "cluster": "DatabaseName"}
_UNSERVED: Final = (
    "Domain", "DomainFqdn", "DomainOu", "DomainAuthSecretArn", "DomainDnsIps", "DomainIAMRoleName", "TdeCredentialArn",
    "TdeCredentialPassword", "ReplicationSourceIdentifier", "GlobalClusterIdentifier", "NewDBInstanceIdentifier", "NewDBClusterIdentifier",
    "DBPortNumber", "TagSpecifications", "CharacterSetName", "NcharCharacterSetName", "AssociatedRoles",
)  # fmt: skip
_UNSERVED_IF_TRUE: Final = (
    "EnableIAMDatabaseAuthentication",
    "MultiTenant",
    "EnableHttpEndpoint",
    "WithExpressConfiguration",
)
_OF_THE_MASTER: Final = (
    "MasterUserPassword",
    "ManageMasterUserPassword",
    "RotateMasterUserPassword",
    "MasterUserSecretKmsKeyId",
)
_LEAST_RECORDS, _MOST_RECORDS = 20, 100

# -- attach -----------------------------------------------------------------------------------------------------------


def attach(ctx: Context, params: Params, kind: Kind) -> Database:
    """The database is known, and is logged in to as soon as this request is answered.

    Raises:
        InvalidParameterValue, InvalidParameterCombination: the request does not say where it is, or what its master user logs in with.
        DBInstanceAlreadyExists, DBClusterAlreadyExistsFault.
    """
    refuse_unserved(params)
    member = lookup.MEMBER[kind]
    name = valid(lambda: domain.identifier(member, params[member]))
    if store.find(ctx.tx, ctx.sealing, ctx.place, kind, name) is not None:
        raise already_exists(kind)
    database = _described_by(ctx, params, kind, name)
    _refuse_another_keeper(ctx, database, managed=bool(params.get("ManageMasterUserPassword")))
    if params.get("ManageMasterUserPassword"):
        database = master_secret.make(
            ctx, database, _known_password(ctx, params, database), params.get("MasterUserSecretKmsKeyId")
        )
    else:
        database = _with_own_password(ctx, params, database)
    store.add(ctx.tx, ctx.sealing, database)
    promise_settling(ctx, database)
    return database


def _described_by(ctx: Context, params: Params, kind: Kind, name: str) -> Database:
    if params["Engine"] not in domain.DIALECTS[kind]:
        raise InvalidParameterValue(
            f"Invalid DB engine: {params['Engine']}. Here it is one of {', '.join(domain.DIALECTS[kind])}."
        )
    tags = tags_of(params)
    found = valid(lambda: where(tags))
    if params.get("Port", found.port) != found.port:
        raise InvalidParameterCombination(f"Port is not the one that the tag {PORT_TAG} says.")
    username = params.get("MasterUsername", "")
    if not username:
        raise InvalidParameterValue("The parameter MasterUsername must be provided and must not be blank.")
    now_ms = ctx.clock.now_ms()
    return Database(
        partition=ctx.place.partition,
        account=ctx.place.account,
        region=ctx.place.region,
        kind=kind,
        identifier=name,
        resource_id=f"{kind}-{letters(26).upper()}",
        engine=params["Engine"],
        host=found.host,
        port=found.port,
        tls=found.tls,
        database_name=params.get(_DATABASE_NAME[kind], ""),
        username=username,
        created_at_ms=now_ms,
        kept=kept_of(params, kind),
        tags=tags,
        status=CREATING,
        task="attach",
        token=uuid(),
        asked_at_ms=now_ms,
    )


def _refuse_another_keeper(ctx: Context, database: Database, *, managed: bool) -> None:
    """A password that is managed has one keeper: two would change it under each other.

    Raises InvalidParameterCombination if the same user of the same server is attached under another name, and one of the two is managed.
    """
    for kind in domain.DIALECTS:
        for other in store.every(ctx.tx, ctx.sealing, ctx.place, kind):
            same = (other.host, other.port, other.username) == (database.host, database.port, database.username)
            if same and other.arn != database.arn and not other.is_member and (managed or other.secret_arn):
                raise InvalidParameterCombination(
                    f"The master user of this database is looked after as {other.arn} already."
                )


def _known_password(ctx: Context, params: Params, database: Database) -> Plaintext:
    """What the master user of a database that is to be managed logs in with so far. AWS makes the database and needs no such thing."""
    if "MasterUserPassword" in params:
        raise InvalidParameterCombination("You can't specify MasterUserPassword when ManageMasterUserPassword is true.")
    secret = database.tags.get(SECRET_TAG)
    if secret is None:
        raise InvalidParameterValue(
            "The database has a master password already, and the server must log in with it once. Name a secret that holds it (JSON with "
            f"username and password) in the tag {SECRET_TAG}; or attach the database with MasterUserPassword, and let it be managed "
            "afterwards."
        )
    return valid(lambda: secrets.password_in(ctx, secret, database.username))


def _with_own_password(ctx: Context, params: Params, database: Database) -> Database:
    if "MasterUserSecretKmsKeyId" in params:
        raise InvalidParameterCombination(
            "MasterUserSecretKmsKeyId can be specified only when ManageMasterUserPassword is true."
        )
    password = params.get("MasterUserPassword", "")
    if not password:
        raise InvalidParameterValue("The parameter MasterUserPassword must be provided and must not be blank.")
    return replace(database, password=store.seal(ctx.sealing, database, Plaintext(password.encode())))


def tags_of(params: Params) -> dict[str, str]:
    try:
        return merged_tags({}, lookup.tags_given(params))
    except BadTags as fault:
        raise InvalidParameterValue(str(fault)) from None


def kept_of(params: Params, kind: Kind) -> dict[str, Any]:
    return {name: params[name] for name in shown.KEPT[kind] if name in params}


def valid(check: Callable[[], Found]) -> Found:
    try:
        return check()
    except BadValue as fault:
        raise InvalidParameterValue(str(fault)) from None


def refuse_unserved(params: Params) -> None:
    """Raises InvalidParameterCombination for what cannot be done to a database that runs elsewhere, InvalidParameterValue for NUL."""
    member = member_with_nul(params)
    if member is not None:
        raise InvalidParameterValue(f"The parameter {member} has a character that is not allowed.")
    for name in (*_UNSERVED, *_UNSERVED_IF_TRUE):
        if name in params and (name not in _UNSERVED_IF_TRUE or params[name]):
            raise InvalidParameterCombination(f"{name} is not served here: the database runs elsewhere.")
    if params.get("MasterUserAuthenticationType", "password") != "password":
        raise InvalidParameterCombination("MasterUserAuthenticationType is password here.")


def promise_settling(ctx: Context, database: Database) -> None:
    """What is to be done to the database is done as soon as this transaction has committed."""
    payload = {"kind": database.kind, "identifier": database.identifier}
    step = f"{master_secret.OWNER.rotate_step}:{database.secret_arn or database.arn}"
    promise(
        ctx.tx,
        master_secret.OWNER.settle,
        database.place,
        payload,
        run_at_ms=ctx.clock.now_ms(),
        lock=step,  # beside a step of a rotation nothing is done to a database
        dedup=f"{master_secret.OWNER.settle}:{database.arn}",
    )


# -- modify -----------------------------------------------------------------------------------------------------------


def modify(ctx: Context, params: Params, kind: Kind) -> Database:
    """Another master password, another keeper of it, other words about the machine. A password is changed after the answer.

    Source: ModifyDBInstance, ModifyDBCluster, API reference.
    """
    refuse_unserved(params)
    before = lookup.get(ctx, kind, params[lookup.MEMBER[kind]])
    if params.get("Engine", before.engine) != before.engine:
        raise InvalidParameterCombination("The engine of a database cannot be changed here.")
    if before.is_member and any(name in params for name in _OF_THE_MASTER):
        raise InvalidParameterCombination(
            "The master user's password is managed by the DB cluster, not by its instances."
        )
    database = replace(before, kept={**before.kept, **kept_of(params, kind)})
    task = _task(database, params)
    if task:
        if before.status != AVAILABLE:
            raise not_available(kind, before.status)
        database = _asked(ctx, params, database, task)
        promise_settling(ctx, database)
    if database != before:
        store.save(ctx.tx, ctx.sealing, database)
    return database


def _task(database: Database, params: Params) -> Task:
    """What the request asks to be done. Unverified: the messages."""
    managed, wanted, password = (
        bool(database.secret_arn),
        params.get("ManageMasterUserPassword"),
        "MasterUserPassword" in params,
    )
    will_be = managed if wanted is None else wanted
    if password and will_be:
        raise InvalidParameterCombination("You can't specify MasterUserPassword when ManageMasterUserPassword is true.")
    if password and not params["MasterUserPassword"]:
        raise InvalidParameterValue("The parameter MasterUserPassword must not be blank.")
    if managed and not will_be and not password:
        raise InvalidParameterCombination(
            "You must specify MasterUserPassword when ManageMasterUserPassword is turned off."
        )
    if "MasterUserSecretKmsKeyId" in params and (managed or not will_be):
        raise InvalidParameterCombination(
            "MasterUserSecretKmsKeyId can be specified only when ManageMasterUserPassword is turned on."
        )
    if params.get("RotateMasterUserPassword"):
        if not (managed and will_be):
            raise InvalidParameterCombination("RotateMasterUserPassword needs a master password that is managed.")
        if not params.get("ApplyImmediately"):
            raise InvalidParameterCombination("RotateMasterUserPassword needs ApplyImmediately.")
        return "rotate"
    if managed != will_be:
        return "manage" if will_be else "unmanage"
    return "change" if password else ""


def _asked(ctx: Context, params: Params, database: Database, task: Task) -> Database:
    now_ms = ctx.clock.now_ms()
    asked = replace(database, task=task, token=uuid(), asked_at_ms=now_ms, status=RESETTING, message="")
    if task == "manage":
        _refuse_another_keeper(ctx, asked, managed=True)
        assert asked.password is not None, "a password that is not managed is kept here"
        password = store.unseal(ctx.sealing, asked, asked.password)
        return replace(master_secret.make(ctx, asked, password, params.get("MasterUserSecretKmsKeyId")), password=None)
    if task == "rotate":
        return replace(asked, secret_status=secrets.ROTATING)
    sealed = store.seal(ctx.sealing, asked, Plaintext(params["MasterUserPassword"].encode()))
    return replace(asked, next_password=sealed)


# -- detach -----------------------------------------------------------------------------------------------------------


def detach(ctx: Context, params: Params, kind: Kind) -> Database:
    """The database is forgotten, and goes on running. Its managed secret can be restored for 30 days: nothing else knows the password.

    Source: DeleteDBInstance, DeleteDBCluster, API reference. Unverified: the message about the snapshot.
    """
    before = lookup.get(ctx, kind, params[lookup.MEMBER[kind]])
    if params.get("FinalDBSnapshotIdentifier"):
        raise InvalidParameterCombination(
            "Snapshots are not made here: the database goes on running. Use SkipFinalSnapshot."
        )
    if not (params.get("SkipFinalSnapshot") or before.is_member):  # of a cluster's instances none is made
        raise InvalidParameterCombination(
            "FinalDBSnapshotIdentifier is required unless SkipFinalSnapshot is specified."
        )
    if before.status == DELETING:
        raise not_available(kind, before.status)
    if before.is_protected:
        noun = "DB Instance" if kind == "db" else "Cluster"
        raise InvalidParameterCombination(
            f"Cannot delete protected {noun}, please disable deletion protection and try again."
        )
    database = replace(before, status=DELETING, task="delete", token=uuid(), asked_at_ms=ctx.clock.now_ms(), message="")
    store.save(ctx.tx, ctx.sealing, database)
    promise_settling(ctx, database)
    return database


# -- list -------------------------------------------------------------------------------------------------------------

_FILTERS: Final[dict[Kind, Mapping[str, str]]] = {
    "db": {"db-instance-id": "identifier", "dbi-resource-id": "resource_id", "engine": "engine", "db-cluster-id": "cluster", "domain": ""},
    "cluster": {
        "db-cluster-id": "identifier", "db-cluster-resource-id": "resource_id", "engine": "engine", "clone-group-id": "", "domain": "",
    },
}  # fmt: skip
"""Source: Filters, DescribeDBInstances and DescribeDBClusters, API reference. What stands under no attribute, nothing here has."""


def listed(ctx: Context, params: Params, kind: Kind, operation: str) -> tuple[list[Database], Params]:
    """The databases that are asked for, and the member Marker if there are more."""
    size = params.get("MaxRecords", _MOST_RECORDS)
    if not _LEAST_RECORDS <= size <= _MOST_RECORDS:
        raise InvalidParameterValue(
            f"Invalid value {size} for MaxRecords. Must be between {_LEAST_RECORDS} and {_MOST_RECORDS}"
        )
    wanted = _filters(params, kind)
    asked = {name: params[name] for name in ("Filters", lookup.MEMBER[kind]) if name in params}
    try:
        position = paging.read_token(ctx, "rds", operation, asked, params.get("Marker"))
    except paging.NotOurs:
        raise InvalidParameterValue("The parameter Marker is invalid.") from None
    given = params.get(lookup.MEMBER[kind])
    if given is not None:
        found = [lookup.get(ctx, kind, given)]
    else:
        found = store.every(ctx.tx, ctx.sealing, ctx.place, kind, after="" if position is None else str(position[0]))
    found = [each for each in found if all(_has(each, name, values) for name, values in wanted)]
    if given is not None and not found:
        raise not_found(kind, given)
    page = found[:size]
    if len(found) > size:
        return page, {"Marker": paging.make_token(ctx, "rds", operation, asked, (page[-1].identifier,))}
    return page, {}


def _filters(params: Params, kind: Kind) -> list[tuple[str, list[str]]]:
    """Unverified: the message."""
    for each in params.get("Filters", []):
        if each["Name"] not in _FILTERS[kind]:
            raise InvalidParameterValue(f"Unrecognized filter name: {each['Name']}")
    return [(each["Name"], each["Values"]) for each in params.get("Filters", [])]


def _has(database: Database, name: str, values: list[str]) -> bool:
    attribute = _FILTERS[database.kind][name]
    if not attribute:
        return False
    if attribute == "cluster":
        cluster = database.kept.get(CLUSTER, "")
        return cluster in values or database.place.arn("rds", f"cluster:{cluster}") in values
    return getattr(database, attribute) in values or (attribute == "identifier" and database.arn in values)
