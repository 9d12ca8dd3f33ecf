"""What each operation of ECS asks of the gate, and what of it the trail may keep.

Source: "Actions, resources, and condition keys for Amazon Elastic Container Service", Service Authorization Reference; "Grant permission to
tag resources on creation", developer guide.
"""

from collections.abc import Callable
from functools import partial
from typing import Final

from geumgo.access.demand import Demand, Demands, Target
from geumgo.access.ports import pass_role
from geumgo.context import Context, Params
from geumgo.domain.storable import member_with_nul
from geumgo.room import Access
from geumgo.services.ecs import lookup
from geumgo.services.ecs.errors import InvalidParameter

Declare = Callable[[Context, Params], Demands]
Keys = dict[str, tuple[str, ...]]

HOST: Final = "ecs.amazonaws.com"
_RECORDED: Final = (
    "cluster", "clusters", "clusterName", "service", "services", "serviceName", "taskDefinition", "desiredCount", "force", "include",
    "tags", "serviceConnectConfiguration", "launchType", "schedulingStrategy", "maxResults",
)  # fmt: skip


def _keys(params: Params) -> Keys:
    tags = {tag.get("key", ""): tag.get("value", "") for tag in params.get("tags", [])}
    keys: Keys = {f"aws:RequestTag/{name}": (value,) for name, value in tags.items()}
    return {**keys, "aws:TagKeys": tuple(tags)} if tags else keys


def _cluster(ctx: Context, given: str | None) -> Target:
    found = lookup.find_cluster(ctx, given)
    arn = ctx.place.arn("ecs", f"cluster/{lookup.cluster_name(ctx, given) or given}")
    return Target(arn, arn, ctx.place.account, tags={} if found is None else found.tags)


def _service(ctx: Context, params: Params, given: str) -> Target:
    cluster = lookup.cluster_name(ctx, params.get("cluster"))
    found = lookup.find_service(ctx, cluster, given) if cluster else None
    arn = ctx.place.arn("ecs", f"service/{cluster or params.get('cluster')}/{lookup.service_name(ctx, given) or given}")
    return Target(arn, arn, ctx.place.account, tags={} if found is None else found.tags)


def _in_cluster(ctx: Context, params: Params) -> Keys:
    return {"ecs:cluster": (_cluster(ctx, params.get("cluster")).arn,)}


def _create_cluster(ctx: Context, params: Params) -> Demands:
    target = _cluster(ctx, params.get("clusterName"))
    asked = [Demand("ecs:CreateCluster", Target("*", "*", ctx.place.account), _keys(params))]
    return [*asked, *_tagging(target, params, "CreateCluster")]


def _tagging(target: Target, params: Params, action: str) -> list[Demand]:
    keys = {**_keys(params), "ecs:CreateAction": (action,)}
    return [Demand("ecs:TagResource", target, keys)] if params.get("tags") else []


def _describe_clusters(ctx: Context, params: Params) -> Demands:
    return [Demand("ecs:DescribeClusters", _cluster(ctx, each)) for each in params.get("clusters") or [None]]


def _delete_cluster(ctx: Context, params: Params) -> Demands:
    return (Demand("ecs:DeleteCluster", _cluster(ctx, params["cluster"])),)


def _list_clusters(ctx: Context, params: Params) -> Demands:  # noqa: ARG001
    return (Demand("ecs:ListClusters"),)


def _list_services(ctx: Context, params: Params) -> Demands:
    return (Demand("ecs:ListServices", Target("*", "*", ctx.place.account), _in_cluster(ctx, params)),)


def _writing(action: str, member: str) -> Declare:
    """With iam:PassRole for each infrastructure role. Source: "Amazon ECS infrastructure IAM role", developer guide."""

    def demands(ctx: Context, params: Params) -> Demands:
        target = _service(ctx, params, params[member])
        asked = [Demand(f"ecs:{action}", target, {**_keys(params), **_in_cluster(ctx, params)})]
        entries = params.get("serviceConnectConfiguration", {}).get("services", [])
        roles = dict.fromkeys(each["tls"]["roleArn"] for each in entries if each.get("tls", {}).get("roleArn"))
        passed = [pass_role(role, ctx.principals.role(ctx.tx, role), HOST, target.arn) for role in roles]
        return [*asked, *_tagging(target, params, action), *passed]

    return demands


def _describe_services(ctx: Context, params: Params) -> Demands:
    keys = _in_cluster(ctx, params)
    named = params["services"] or ["*"]
    return [Demand("ecs:DescribeServices", _service(ctx, params, each), keys) for each in named]


def _delete_service(ctx: Context, params: Params) -> Demands:
    return (Demand("ecs:DeleteService", _service(ctx, params, params["service"]), _in_cluster(ctx, params)),)


def _refuse_unstorable(params: Params) -> None:
    member = member_with_nul(params)
    if member is not None:
        raise InvalidParameter(f"The parameter {member} has a character that is not allowed.")


_access: Final = partial(Access, recorded=_RECORDED, check=_refuse_unstorable)

ACCESS: Final = {
    "CreateCluster": _access(_create_cluster),
    "DescribeClusters": _access(_describe_clusters),
    "ListClusters": _access(_list_clusters),
    "DeleteCluster": _access(_delete_cluster),
    "CreateService": _access(_writing("CreateService", "serviceName")),
    "UpdateService": _access(_writing("UpdateService", "service")),
    "DescribeServices": _access(_describe_services),
    "ListServices": _access(_list_services),
    "DeleteService": _access(_delete_service),
}
