"""Reading values: GetParameter, GetParameters, GetParametersByPath, GetParameterHistory."""

from geumgo.context import Context, Params, as_datetime
from geumgo.paging import NotOurs, make_token, read_token
from geumgo.room import reads
from geumgo.services.ssm import access, domain, domain_filters, lookup, secrets, store, values
from geumgo.services.ssm.errors import (
    InvalidNextToken,
    ParameterNotFound,
    ParameterVersionNotFound,
    ValidationFailed,
)
from geumgo.services.ssm.records import Parameter, Policy, Version
from geumgo.services.ssm.store import Listed

MOST_LOOKED_AT = 1_000
"""Parameters that one page looks at. A filter that matches few of many gives short pages, as AWS says it may."""

_CHUNK = 100
_PATH_PAGE = 10
_HISTORY_PAGE = 50


@reads
def get_parameter(ctx: Context, params: Params) -> Params:
    return {"Parameter": _read(ctx, params["Name"], decrypted=params.get("WithDecryption", False))}


def _read(ctx: Context, name: str, *, decrypted: bool) -> Params:
    meant = lookup.locate(ctx, name).reference
    if meant.means_a_secret:
        return secrets.refer(ctx, meant, decrypted=decrypted)
    parameter, version = lookup.get_version(ctx, name)
    return _entry(ctx, parameter, version, selector=meant.selector, decrypted=decrypted)


def _entry(ctx: Context, parameter: Parameter, version: Version, *, selector: str | None, decrypted: bool) -> Params:
    """A parameter with one of its values.

    Unverified: that one's own parameter is called by its name even if it was asked for by its ARN, and that of another account by its ARN.
    """
    answer: Params = {
        "Name": parameter.name if parameter.account == ctx.place.account else parameter.arn,
        "Type": version.kind,
        "Value": values.shown(ctx, parameter, version, decrypted=decrypted),
        "Version": version.number,
        "LastModifiedDate": as_datetime(version.modified_at_ms),
        "ARN": parameter.arn,
        "DataType": version.data_type,
    }
    if selector is not None:
        answer["Selector"] = f":{selector}"
    return answer


@reads
def get_parameters(ctx: Context, params: Params) -> Params:
    """By name; what cannot be read for any reason but a missing right is told as invalid.

    Source: GetParameters, API reference; as users of AWS report it for references to secrets.
    """
    decrypted = params.get("WithDecryption", False)
    found: list[Params] = []
    invalid: list[str] = []
    for name in dict.fromkeys(params["Names"]):
        try:
            found.append(_read(ctx, name, decrypted=decrypted))
        except (ParameterNotFound, ParameterVersionNotFound):
            invalid.append(name)
        except ValidationFailed as refusal:
            if isinstance(refusal, secrets.DependencyFailed):
                raise
            invalid.append(name)
    return {"Parameters": sorted(found, key=lambda each: each["Name"]), "InvalidParameters": invalid}


# -- by path ----------------------------------------------------------------------------------------------------------


@reads
def get_parameters_by_path(ctx: Context, params: Params) -> Params:
    """The next parameters under a path that the filters mean, or fewer.

    A parameter that some policy explicitly denies to the caller is left out, unless the operator has switched that off (AWS gives it out).
    Source: GetParametersByPath, API reference. Unverified: that a filter by label gives the labelled version.
    """
    path, limit = params["Path"].strip(" "), params.get("MaxResults", _PATH_PAGE)
    domain.refuse_path(path)
    level = domain.level_of(path)
    filters = domain_filters.parse(params.get("ParameterFilters", []), domain_filters.BY_PATH)
    recursive = params.get("Recursive", False)
    asked = {"level": level, "recursive": recursive, "filters": params.get("ParameterFilters", [])}
    access.refuse_forbidden_path(ctx, level)
    found: list[Params] = []
    after, looked_at = _after(ctx, "GetParametersByPath", asked, params.get("NextToken")), 0
    chunk = limit + 1 if not filters else _CHUNK
    while True:
        rows = store.list_below(
            ctx.tx, ctx.sealing, ctx.place, level=level, recursive=recursive, after=after, limit=chunk
        )
        for listed in rows:
            if len(found) == limit or looked_at == MOST_LOOKED_AT:
                token = make_token(ctx, "ssm", "GetParametersByPath", asked, (after,))
                return {"Parameters": found, "NextToken": token}
            after, looked_at = listed.parameter.path, looked_at + 1
            found += _shown_below(ctx, listed, filters, decrypted=params.get("WithDecryption", False))
        if len(rows) < chunk:
            return {"Parameters": found}


def _shown_below(
    ctx: Context, listed: Listed, filters: list[domain_filters.Filter], *, decrypted: bool
) -> list[Params]:
    """What a listing shows of a parameter: one entry, or none."""
    parameter = listed.parameter
    if lookup.is_over(ctx, parameter) or not domain_filters.matches(parameter, listed.version, filters):
        return []
    if access.is_forbidden(ctx, parameter):
        return []
    label = domain_filters.label_of(parameter, filters)
    version = listed.version
    if label is not None and parameter.labels[label] != version.number:
        labelled = store.find_version(ctx.tx, ctx.sealing, parameter, parameter.labels[label])
        assert labelled is not None, "a label is worn by a version that is there"
        version = labelled
    return [_entry(ctx, parameter, version, selector=label, decrypted=decrypted)]


def _after(ctx: Context, operation: str, asked: Params, token: str | None) -> str:
    """The path that the listing goes on behind. Raises InvalidNextToken."""
    try:
        position = read_token(ctx, "ssm", operation, asked, token)
    except NotOurs:
        raise InvalidNextToken from None
    return "" if position is None else str(position[0])


# -- history ----------------------------------------------------------------------------------------------------------


@reads
def get_parameter_history(ctx: Context, params: Params) -> Params:
    """Every version that is kept, oldest first."""
    parameter = lookup.get(ctx, params["Name"])
    limit = params.get("MaxResults", _HISTORY_PAGE)
    asked = {"parameter": parameter.id}
    after = _after(ctx, "GetParameterHistory", asked, params.get("NextToken"))
    rows = store.list_versions(ctx.tx, ctx.sealing, parameter, after=int(after or 0), limit=limit + 1)
    decrypted = params.get("WithDecryption", False)
    answer: Params = {"Parameters": [_past(ctx, parameter, version, decrypted=decrypted) for version in rows[:limit]]}
    if len(rows) > limit:
        answer["NextToken"] = make_token(ctx, "ssm", "GetParameterHistory", asked, (rows[limit - 1].number,))
    return answer


def _past(ctx: Context, parameter: Parameter, version: Version, *, decrypted: bool) -> Params:
    newest = version.number == parameter.version
    return {
        **described(parameter, version, parameter.policies if newest else version.policies),
        "Name": parameter.name if parameter.account == ctx.place.account else parameter.arn,
        "Value": values.shown(ctx, parameter, version, decrypted=decrypted),
        "Labels": parameter.labels_of(version.number),
    }


def described(parameter: Parameter, version: Version, policies: tuple[Policy, ...]) -> Params:
    """What DescribeParameters and GetParameterHistory both say of a parameter: members that have a value."""
    answer: Params = {
        "Name": parameter.name,
        "Type": version.kind,
        "LastModifiedDate": as_datetime(version.modified_at_ms),
        "LastModifiedUser": version.modified_by,
        "Version": version.number,
        "Tier": version.tier,
        "Policies": domain_filters.shown_policies(policies),
        "DataType": version.data_type,
    }
    for member, text in (
        ("KeyId", version.key_id),
        ("Description", version.description),
        ("AllowedPattern", version.allowed_pattern),
    ):
        if text:
            answer[member] = text
    return answer
