"""What each operation of Redshift asks of the gate, and what of it the trail may keep.

Source: "Actions, resources, and condition keys for Amazon Redshift", Service Authorization Reference.
"""

from collections.abc import Callable
from typing import Final

from geumgo.access.demand import Demand, Demands, Target
from geumgo.context import Context, Params
from geumgo.domain.arn import split_arn
from geumgo.room import Access
from geumgo.services.redshift import lookup

Declare = Callable[[Context, Params], Demands]

_RECORDED: Final = (
    "ClusterIdentifier", "DBName", "MasterUsername", "NodeType", "NumberOfNodes", "ClusterType", "Port", "ManageMasterPassword",
    "MasterPasswordSecretKmsKeyId", "SkipFinalClusterSnapshot", "FinalClusterSnapshotIdentifier", "Tags", "TagKeys", "TagValues",
    "ResourceName", "ResourceType", "MaxRecords",
)  # fmt: skip


def _keys(params: Params) -> dict[str, tuple[str, ...]]:
    tags = [(tag.get("Key", ""), tag.get("Value", "")) for tag in params.get("Tags", [])]
    keys: dict[str, tuple[str, ...]] = {f"aws:RequestTag/{name}": (value,) for name, value in tags}
    names = [name for name, _ in tags] + list(params.get("TagKeys", []))
    return {**keys, "aws:TagKeys": tuple(names)} if names else keys


def _cluster(ctx: Context, identifier: str) -> Target:
    found = lookup.find(ctx, identifier)
    arn = ctx.place.arn("redshift", f"cluster:{identifier}")
    return Target(arn, arn, ctx.place.account, tags={} if found is None else found.tags)


def _on_cluster(action: str) -> Declare:
    def demands(ctx: Context, params: Params) -> Demands:
        return (Demand(f"redshift:{action}", _cluster(ctx, params["ClusterIdentifier"]), _keys(params)),)

    return demands


def _on_every(action: str) -> Declare:
    def demands(ctx: Context, params: Params) -> Demands:
        return (Demand(f"redshift:{action}", Target("*", "*", ctx.place.account), _keys(params)),)

    return demands


def _on_named(action: str) -> Declare:
    def demands(ctx: Context, params: Params) -> Demands:
        given = params.get("ResourceName", "*")
        found, arn = lookup.find_by_arn(ctx, given), split_arn(given)
        account = arn.account if arn is not None and arn.account else ctx.place.account
        target = Target(given, given, account, tags={} if found is None else found.tags)
        return (Demand(f"redshift:{action}", target, _keys(params)),)

    return demands


def _access(declare: Declare) -> Access:
    return Access(declare, recorded=_RECORDED)


ACCESS: Final = {
    "CreateCluster": _access(_on_cluster("CreateCluster")),
    "DescribeClusters": _access(_on_every("DescribeClusters")),
    "ModifyCluster": _access(_on_cluster("ModifyCluster")),
    "DeleteCluster": _access(_on_cluster("DeleteCluster")),
    "CreateTags": _access(_on_named("CreateTags")),
    "DeleteTags": _access(_on_named("DeleteTags")),
    "DescribeTags": _access(_on_named("DescribeTags")),
}
