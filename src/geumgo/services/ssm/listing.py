"""DescribeParameters: what there is, without values."""

from typing import Final

from geumgo.access.gate import about_caller, about_target, as_principal
from geumgo.context import Context, Params
from geumgo.domain.policy import Asked, PolicyKind, Standing, compile_policy, decide
from geumgo.domain.policy import Context as Conditions
from geumgo.paging import NotOurs, make_token, read_token
from geumgo.room import reads
from geumgo.services.ssm import access, domain_filters, lookup, store
from geumgo.services.ssm.errors import InvalidNextToken, ValidationFailed
from geumgo.services.ssm.lookup import Located
from geumgo.services.ssm.reading import MOST_LOOKED_AT, described
from geumgo.services.ssm.store import Listed

_PAGE: Final = 50
_CHUNK: Final = 100
_EVERYTHING: Final = compile_policy(
    '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}', PolicyKind.IDENTITY
)


@reads
def describe_parameters(ctx: Context, params: Params) -> Params:
    """The next parameters that the filters mean, by name, or fewer; with `Shared` those of other accounts that are shared with the caller.

    Raises InvalidFilterKey, InvalidFilterOption, InvalidFilterValue, InvalidNextToken, ValidationFailed.
    Source: DescribeParameters, API reference. Unverified: the order; that a page has 50 by default.
    """
    if "Filters" in params and "ParameterFilters" in params:
        raise ValidationFailed("You can use either Filters or ParameterFilters in a single request.")
    filters = (
        domain_filters.legacy(params["Filters"])
        if "Filters" in params
        else domain_filters.parse(params.get("ParameterFilters", []), domain_filters.DESCRIBE)
    )
    shared = params.get("Shared", False)
    asked = {"filters": filters, "shared": shared}
    after = _after(ctx, asked, params.get("NextToken"))
    limit, looked_at = params.get("MaxResults", _PAGE), 0
    found: list[Params] = []
    while True:
        rows = _shared(ctx, after) if shared else _own(ctx, filters, after)
        for position, listed, visible in rows:
            if len(found) == limit or looked_at == MOST_LOOKED_AT:
                return {"Parameters": found, "NextToken": make_token(ctx, "ssm", "DescribeParameters", asked, (after,))}
            after, looked_at = position, looked_at + 1
            if visible and domain_filters.matches(listed.parameter, listed.version, filters):
                found.append(_entry(ctx, listed))
        if len(rows) < _CHUNK:
            return {"Parameters": found}


def _after(ctx: Context, asked: Params, token: str | None) -> str:
    try:
        position = read_token(ctx, "ssm", "DescribeParameters", asked, token)
    except NotOurs:
        raise InvalidNextToken from None
    return "" if position is None else str(position[0])


def _own(ctx: Context, filters: list[domain_filters.Filter], after: str) -> list[tuple[str, Listed, bool]]:
    """The next parameters of the caller's account: place in the order, parameter, whether it is there for him."""
    rows = store.list_prefixed(
        ctx.tx, ctx.sealing, ctx.place, prefix=domain_filters.prefix(filters), after=after, limit=_CHUNK
    )
    return [(listed.parameter.path, listed, not lookup.is_over(ctx, listed.parameter)) for listed in rows]


def _shared(ctx: Context, after: str) -> list[tuple[str, Listed, bool]]:
    """The next parameters of other accounts, which are there for the caller if their policies let him describe them.

    On AWS those are missing that were shared by PutResourcePolicy without RAM. There is no RAM here.
    """
    rows = store.list_shared(ctx.tx, ctx.sealing, ctx.place, after=after, limit=_CHUNK)
    return [
        (listed.parameter.id, listed, not lookup.is_over(ctx, listed.parameter) and _may_describe(ctx, listed, policy))
        for listed, policy in rows
    ]


def _may_describe(ctx: Context, listed: Listed, policy: str) -> bool:
    """Whether the parameter's own policy lets the caller describe it. What his policies say, the gate has asked."""
    reference = lookup.reference(ctx, listed.parameter.arn)
    target = access.demand("DescribeParameters", Located(reference, listed.parameter, policy), {}).target
    assert target is not None, "a parameter is asked about"
    circumstances = Conditions(ctx.conditions, about_caller(ctx.caller), about_target(target))
    asked = Asked(as_principal(ctx.caller), "ssm:DescribeParameters", target.arn, target.account, circumstances)
    session = (_EVERYTHING,) if ctx.caller.session is not None else None
    return decide(asked, Standing(identity=(_EVERYTHING,), session=session, resource=target.policy)).allowed


def _entry(ctx: Context, listed: Listed) -> Params:
    parameter = listed.parameter
    name = parameter.name if parameter.account == ctx.place.account else parameter.arn
    return {**described(parameter, listed.version, parameter.policies), "Name": name, "ARN": parameter.arn}
