"""What each operation of RDS asks of the gate, and what of it the trail may keep.

Source: "Actions, resources, and condition keys for Amazon RDS", Service Authorization Reference.
"""

from collections.abc import Callable
from typing import Final

from geumgo.access.demand import Demand, Demands, Target
from geumgo.context import Context, Params
from geumgo.domain.arn import split_arn
from geumgo.room import Access
from geumgo.services.rds import lookup
from geumgo.services.rds.records import Kind

Keys = dict[str, tuple[str, ...]]
Declare = Callable[[Context, Params], Demands]

_RECORDED: Final = (
    "DBInstanceIdentifier", "DBClusterIdentifier", "DBInstanceClass", "Engine", "MasterUsername", "ManageMasterUserPassword",
    "MasterUserSecretKmsKeyId", "RotateMasterUserPassword", "ApplyImmediately", "DeletionProtection", "SkipFinalSnapshot",
    "FinalDBSnapshotIdentifier", "Tags", "TagKeys", "ResourceName", "Filters", "MaxRecords",
)  # fmt: skip
_SAID: Final = {
    "Engine": "rds:DatabaseEngine",
    "DBInstanceClass": "rds:DatabaseClass",
    "DBName": "rds:DatabaseName",
    "DatabaseName": "rds:DatabaseName",
    "ManageMasterUserPassword": "rds:ManageMasterUserPassword",
    "MultiAZ": "rds:MultiAz",
    "Iops": "rds:Piops",
    "PubliclyAccessible": "rds:PubliclyAccessible",
    "StorageEncrypted": "rds:StorageEncrypted",
    "AllocatedStorage": "rds:StorageSize",
}


def _said(value: object) -> str:
    return ("true" if value else "false") if isinstance(value, bool) else str(value)


def _from_request(params: Params) -> Keys:
    keys: Keys = {key: (_said(params[member]),) for member, key in _SAID.items() if member in params}
    tags = [(tag.get("Key", ""), tag.get("Value", "")) for tag in params.get("Tags", [])]
    names = [name for name, _ in tags] + list(params.get("TagKeys", []))
    if names:
        keys["aws:TagKeys"] = tuple(names)
    for name, value in tags:
        keys[f"aws:RequestTag/{name}"] = keys[f"rds:req-tag/{name}"] = (value,)
    return keys


def _target(ctx: Context, kind: Kind, given: str) -> Target:
    place, name = lookup.place_and_name(ctx, kind, given)
    found = lookup.find(ctx, kind, given)
    arn = place.arn("rds", f"{kind}:{name}")
    return Target(arn, arn, place.account, tags={} if found is None else found.tags)


def _about(kind: Kind, target: Target) -> Keys:
    return {f"rds:{kind}-tag/{key}": (value,) for key, value in target.tags.items()}


def _on(action: str, kind: Kind) -> Declare:
    def demands(ctx: Context, params: Params) -> Demands:
        target = _target(ctx, kind, params[lookup.MEMBER[kind]])
        return (Demand(f"rds:{action}", target, {**_about(kind, target), **_from_request(params)}),)

    return demands


def _creating(action: str, kind: Kind) -> Declare:
    """Tags at creation need the right to tag. Source: "Grant permission to tag resources during creation", user guide."""
    once = _on(action, kind)

    def demands(ctx: Context, params: Params) -> Demands:
        first = once(ctx, params)[0]
        if not params.get("Tags"):
            return (first,)
        return (first, Demand("rds:AddTagsToResource", first.target, first.keys))

    return demands


def _describing(action: str, kind: Kind) -> Declare:
    def demands(ctx: Context, params: Params) -> Demands:
        target = _target(ctx, kind, params.get(lookup.MEMBER[kind], "*"))
        return (Demand(f"rds:{action}", target, _about(kind, target)),)

    return demands


def _tagging(action: str) -> Declare:
    def demands(ctx: Context, params: Params) -> Demands:
        given = params["ResourceName"]
        named, arn = lookup.by_arn(given), split_arn(given)
        if named is None:
            target = Target(given, given, arn.account if arn is not None else ctx.place.account)
            return (Demand(f"rds:{action}", target, _from_request(params)),)
        target = _target(ctx, *named)
        return (Demand(f"rds:{action}", target, {**_about(named[0], target), **_from_request(params)}),)

    return demands


def _access(declare: Declare) -> Access:
    return Access(declare, recorded=_RECORDED)


ACCESS: Final = {
    "CreateDBInstance": _access(_creating("CreateDBInstance", "db")),
    "DescribeDBInstances": _access(_describing("DescribeDBInstances", "db")),
    "ModifyDBInstance": _access(_on("ModifyDBInstance", "db")),
    "DeleteDBInstance": _access(_on("DeleteDBInstance", "db")),
    "CreateDBCluster": _access(_creating("CreateDBCluster", "cluster")),
    "DescribeDBClusters": _access(_describing("DescribeDBClusters", "cluster")),
    "ModifyDBCluster": _access(_on("ModifyDBCluster", "cluster")),
    "DeleteDBCluster": _access(_on("DeleteDBCluster", "cluster")),
    "AddTagsToResource": _access(_tagging("AddTagsToResource")),
    "RemoveTagsFromResource": _access(_tagging("RemoveTagsFromResource")),
    "ListTagsForResource": _access(_tagging("ListTagsForResource")),
}
