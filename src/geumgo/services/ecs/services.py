"""Services: their names, and which of them want certificates. Source: ECS API reference."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from geumgo import paging
from geumgo.context import Context, Params
from geumgo.domain.arn import split_arn
from geumgo.room import operation, reads
from geumgo.sealing.random import uuid
from geumgo.services.ecs import domain, lookup, shown, store
from geumgo.services.ecs.clusters import page_size, position, refuse_unserved, tags_of
from geumgo.services.ecs.domain import BadValue, Wanted
from geumgo.services.ecs.errors import InvalidParameter, ServiceNotActive
from geumgo.services.ecs.issuing import promise_settling
from geumgo.services.ecs.records import Cluster, Endpoint, Service

_UNSERVED: Final = (
    "gatewayConnectors", "loadBalancers", "monitoring", "role", "serviceRegistries", "volumeConfigurations", "vpcLatticeConfigurations",
)  # fmt: skip
_MOST_DESCRIBED: Final = 10
_MOST_LISTED: Final = 100
_LISTED_BY: Final = ("launchType", "schedulingStrategy")


@operation
def create_service(ctx: Context, params: Params) -> Params:
    """The service is known, and its certificates are issued as soon as this request is answered.

    Raises InvalidParameterException, ClusterNotFoundException. Source: the message for a name that is taken, as users report it.
    """
    refuse_unserved(params, _UNSERVED)
    cluster = lookup.get_cluster(ctx, params.get("cluster"))
    name = lookup.checked_name("serviceName", params["serviceName"])
    if store.find_service(ctx.tx, ctx.place, cluster.name, name) is not None:
        raise InvalidParameter("Creation of service was not idempotent.")
    now_ms = ctx.clock.now_ms()
    service = Service(
        partition=ctx.place.partition,
        account=ctx.place.account,
        region=ctx.place.region,
        cluster=cluster.name,
        name=name,
        id=uuid(),
        kept={each: params[each] for each in shown.KEPT if each in params},
        tags=tags_of(params),
        created_at_ms=now_ms,
        updated_at_ms=now_ms,
    )
    store.put_service(ctx.tx, service)
    _keep_in_step(ctx, cluster, service)
    return {"service": {**_shown(ctx, service), **shown.tags(service)}}


@operation
def update_service(ctx: Context, params: Params) -> Params:
    """What the request says is kept. Names that are not wanted any more lose their secrets; new ones get some.

    Raises InvalidParameterException, ServiceNotActiveException, ServiceNotFoundException, ClusterNotFoundException.
    """
    refuse_unserved(params, _UNSERVED)
    cluster = lookup.get_cluster(ctx, params.get("cluster"))
    before = lookup.get_service(ctx, cluster.name, params["service"])
    if before.is_leaving:
        raise ServiceNotActive
    said: Params = {each: params[each] for each in shown.KEPT if each in params}
    service = replace(before, kept={**before.kept, **said}, updated_at_ms=ctx.clock.now_ms())
    store.put_service(ctx.tx, service)
    _keep_in_step(ctx, cluster, service)
    return {"service": _shown(ctx, service)}


@reads
def describe_services(ctx: Context, params: Params) -> Params:
    """What is not there is named among the failures. Source: DescribeServices, API reference."""
    cluster = lookup.get_cluster(ctx, params.get("cluster"))
    if not 1 <= len(params["services"]) <= _MOST_DESCRIBED:
        raise InvalidParameter(f"Services must have 1 to {_MOST_DESCRIBED} items.")
    found = {each: lookup.find_service(ctx, cluster.name, each) for each in params["services"]}
    tagged = "TAGS" in params.get("include", [])
    return {
        "services": [
            {**_shown(ctx, each), **(shown.tags(each) if tagged else {})} for each in found.values() if each is not None
        ],
        "failures": [
            {
                "arn": given if given.startswith("arn:") else ctx.place.arn("ecs", f"service/{cluster.name}/{given}"),
                "reason": "MISSING",
            }
            for given, each in found.items()
            if each is None
        ],
    }


@reads
def list_services(ctx: Context, params: Params) -> Params:
    cluster = lookup.get_cluster(ctx, params.get("cluster"))
    asked: Params = {"cluster": cluster.name, **{name: params[name] for name in _LISTED_BY if name in params}}
    after, size = position(ctx, "ListServices", asked, params), page_size(params, _MOST_LISTED)
    found: list[Service] = []
    while len(found) <= size and (page := store.services_after(ctx.tx, ctx.place, cluster.name, after, _MOST_LISTED)):
        found += [
            each for each in page if all(asked.get(name, _said(each, name)) == _said(each, name) for name in _LISTED_BY)
        ]
        after = page[-1].name
    answer: Params = {"serviceArns": [each.arn for each in found[:size]]}
    if len(found) > size:
        answer["nextToken"] = paging.make_token(ctx, "ecs", "ListServices", asked, (found[size - 1].name,))
    return answer


def _said(service: Service, member: str) -> str:
    return str(service.kept.get(member, "REPLICA" if member == "schedulingStrategy" else ""))


@operation
def delete_service(ctx: Context, params: Params) -> Params:
    """The service drains until its secrets have gone. Source: DeleteService, API reference; the message as users report it."""
    cluster = lookup.get_cluster(ctx, params.get("cluster"))
    before = lookup.get_service(ctx, cluster.name, params["service"])
    if before.kept.get("desiredCount") and not params.get("force") and not before.is_leaving:
        raise InvalidParameter("The service cannot be stopped while it is scaled above 0.")
    service = replace(before, is_leaving=True, updated_at_ms=ctx.clock.now_ms())
    store.put_service(ctx.tx, service)
    endpoints = store.endpoints_of(ctx.tx, ctx.sealing, service)
    for each in endpoints:
        _leave(ctx, each)
    answer = {"service": _shown(ctx, service)}
    if not endpoints:
        store.remove_service(ctx.tx, service)
    return answer


# -- the names that want certificates ---------------------------------------------------------------------------------


def _keep_in_step(ctx: Context, cluster: Cluster, service: Service) -> None:
    """Each name that wants a certificate has an endpoint, and no other has. Raises InvalidParameterException."""
    configuration = service.kept.get("serviceConnectConfiguration", {})
    namespace = cluster.kept.get("serviceConnectDefaults", {}).get("namespace", "")
    try:
        wanted = domain.wanted(configuration, namespace)
    except BadValue as fault:
        raise InvalidParameter(str(fault)) from None
    for each in wanted:
        _refuse_strangers(ctx, each)
    there = [each for each in store.endpoints_of(ctx.tx, ctx.sealing, service) if not each.is_leaving]
    for endpoint in there:
        if _as_wanted(endpoint) not in wanted:
            _leave(ctx, endpoint)
    kept = [_as_wanted(each) for each in there]
    for each in wanted:
        if each not in kept:
            _add(ctx, service, each)


def _refuse_strangers(ctx: Context, wanted: Wanted) -> None:
    """Raises InvalidParameterException. Unverified: the messages. An authority of another account or Region cannot be here."""
    authority, role = split_arn(wanted.authority), split_arn(wanted.role)
    here = (ctx.place.account, ctx.place.region)
    if (
        authority is None
        or (authority.service, authority.account, authority.region) != ("acm-pca", *here)
        or not authority.resource.startswith("certificate-authority/")
    ):
        raise InvalidParameter(
            "awsPcaAuthorityArn is not the ARN of a certificate authority of this account and Region."
        )
    if role is None or role.service != "iam" or not role.resource.startswith("role/"):
        raise InvalidParameter("roleArn is not the ARN of a role.")


def _as_wanted(endpoint: Endpoint) -> Wanted:
    return Wanted(endpoint.port, endpoint.names, endpoint.authority, endpoint.role, endpoint.kms_key)


def _add(ctx: Context, service: Service, wanted: Wanted) -> None:
    endpoint = Endpoint(
        id=uuid(),
        partition=service.partition,
        account=service.account,
        region=service.region,
        cluster=service.cluster,
        service=service.name,
        created_at_ms=ctx.clock.now_ms(),
        **wanted._asdict(),
    )
    store.put_endpoint(ctx.tx, ctx.sealing, endpoint)
    promise_settling(ctx.tx, endpoint, ctx.clock.now_ms())


def _leave(ctx: Context, endpoint: Endpoint) -> None:
    leaving = replace(endpoint, is_leaving=True, message="")
    store.put_endpoint(ctx.tx, ctx.sealing, leaving)
    promise_settling(ctx.tx, leaving, ctx.clock.now_ms())


def _shown(ctx: Context, service: Service) -> Params:
    endpoints: Sequence[Endpoint] = store.endpoints_of(ctx.tx, ctx.sealing, service)
    return shown.service(service, endpoints)
