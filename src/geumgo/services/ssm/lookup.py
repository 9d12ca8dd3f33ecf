"""From a name to a parameter: once per call, for the gate and for the operation."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from geumgo.context import Context
from geumgo.domain.policy import Policy, PolicyKind, compile_policy
from geumgo.services.ssm import domain, store
from geumgo.services.ssm.domain import Reference
from geumgo.services.ssm.errors import no_such_parameter, no_such_version
from geumgo.services.ssm.records import Parameter, Version

COMPILED_POLICIES: Final = 256  # documents of resource policies that are kept compiled
KEPT_VALUE_BYTES: Final = 4500  # a longer ciphertext (of a value of more than 4 KB) is read from the database each time


@dataclass(frozen=True, slots=True)
class Located:
    """What a name led to. `policy` is the document attached to the parameter. An expired parameter is still found here."""

    reference: Reference
    parameter: Parameter | None = None
    policy: str | None = None


@lru_cache(maxsize=COMPILED_POLICIES)
def compiled(document: str) -> Policy:
    """The resource policy, compiled. Raises MalformedPolicy."""
    return compile_policy(document, PolicyKind.RESOURCE)


def reference(ctx: Context, name: str) -> Reference:
    """What `name` means. Raises ValidationFailed for what no parameter can be called."""
    place = ctx.place
    return domain.parse_reference(name, partition=place.partition, account=place.account, region=place.region)


def locate(ctx: Context, name: str) -> Located:
    """What `name` leads to. Raises ValidationFailed."""
    known = ctx.found.get(("parameter", name))
    if known is None:
        meant = reference(ctx, name)
        found = (
            store.find(ctx.tx, ctx.sealing, meant.account, meant.region, meant.path) if _may_be(ctx, meant) else None
        )
        known = ctx.found["parameter", name] = Located(meant) if found is None else Located(meant, *found)
    located: Located = known
    return located


def locate_value(ctx: Context, name: str) -> Located:
    """As `locate`; the version that the name's selector means is read with it and waits for `get_version`."""
    key = ("ssm.value", ctx.place, name)
    found = ctx.tx.derived(key, lambda: _find_value(ctx, name))
    located, number, version = found or (Located(reference(ctx, name)), None, None)
    ctx.found["parameter", name] = located
    ctx.found["version", name] = (number, version)
    return located


def _find_value(ctx: Context, name: str) -> tuple[Located, int | None, Version | None] | None:
    """The parameter, the number of the version that is meant (None: there is none), and that version, unless it is too long to be kept."""
    meant = reference(ctx, name)
    if not _may_be(ctx, meant):
        return None
    number = None if meant.selector is None else domain.number_of(meant.selector)
    row = store.find_with_version(ctx.tx, ctx.sealing, meant.account, meant.region, meant.path, number)
    if row is None:
        return None
    found, version = row
    if meant.selector is not None and number is None:
        worn_by = found.parameter.labels.get(meant.selector)
        version = None if worn_by is None else store.find_version(ctx.tx, ctx.sealing, found.parameter, worn_by)
    if version is None:
        return Located(meant, *found), None, None
    return Located(meant, *found), version.number, version if len(version.sealed) <= KEPT_VALUE_BYTES else None


def _may_be(ctx: Context, meant: Reference) -> bool:
    """Whether there can be such a parameter here.

    Unverified: an ARN of another region or partition is answered as one that is not there.
    """
    return meant.region == ctx.place.region and meant.partition == ctx.place.partition and not meant.means_a_secret


def living(ctx: Context, located: Located) -> Parameter | None:
    """The parameter, unless its time is over: from that moment on it is gone for everybody, though the job that removes it comes later."""
    parameter = located.parameter
    return None if parameter is None or is_over(ctx, parameter) else parameter


def is_over(ctx: Context, parameter: Parameter) -> bool:
    return parameter.expires_at_ms is not None and parameter.expires_at_ms <= ctx.clock.now_ms()


def get(ctx: Context, name: str) -> Parameter:
    """The parameter that `name` names. Raises ParameterNotFound."""
    located = locate(ctx, name)
    parameter = living(ctx, located)
    if parameter is None:
        raise no_such_parameter(located.reference.name)
    return parameter


def get_version(ctx: Context, name: str) -> tuple[Parameter, Version]:
    """The parameter and the version that `name` means; `locate_value` has looked it up.

    Raises ParameterNotFound, ParameterVersionNotFound.
    """
    parameter = get(ctx, name)
    number, version = ctx.found["version", name]
    if version is None and number is not None:
        version = store.find_version(ctx.tx, ctx.sealing, parameter, number)
    if version is None:
        meant = locate(ctx, name).reference
        raise no_such_version(meant.name, meant.selector or "")
    return parameter, version
