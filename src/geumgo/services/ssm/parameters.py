"""The life of a parameter: PutParameter, DeleteParameter, DeleteParameters."""

from dataclasses import dataclass, replace

from geumgo.context import Context, Params
from geumgo.domain import regular
from geumgo.room import operation
from geumgo.sealing import Plaintext, random
from geumgo.services.ssm import (
    changes,
    domain,
    domain_policies,
    domain_types,
    lookup,
    policies,
    settings,
    store,
    values,
)
from geumgo.services.ssm.errors import (
    IncompatiblePolicy,
    InvalidAllowedPattern,
    ParameterAlreadyExists,
    ParameterMaxVersionLimitExceeded,
    ParameterPatternMismatch,
    ValidationFailed,
)
from geumgo.services.ssm.records import ADVANCED, SECURE, STANDARD, Kind, Parameter, Policy, Tier, Version


@dataclass(frozen=True, slots=True)
class Plan:
    """What a parameter will be, as far as the request and the version before it say."""

    kind: Kind
    tier: Tier
    data_type: str
    description: str
    allowed_pattern: str
    key_id: str
    policies: tuple[Policy, ...]


# -- put --------------------------------------------------------------------------------------------------------------


@operation
def put_parameter(ctx: Context, params: Params) -> Params:
    """A new parameter, or a new version of one. What an overwriting request leaves out stays as it is, but for the key.

    Source: PutParameter, API reference; "How Parameter Store uses AWS KMS", developer guide (without KeyId the default key is used again);
    "Create a parameter (AWS CLI)", user guide (AllowedPattern stays). Unverified: that Description and DataType stay, which Terraform
    relies on. It sends KeyId only when that changes, too: whether AWS really goes back to the default key then is unverified as well.
    """
    name, value = params["Name"].strip(" "), params["Value"]
    domain.refuse_new_name(name, ctx.place.arn("ssm", "parameter"))
    domain.refuse_value(value)
    if params.get("Tags") and params.get("Overwrite", False):
        raise ValidationFailed(
            "Invalid request: tags and overwrite can't be used together. To create a parameter with tags, please remove "
            "overwrite flag. To update tags for an existing parameter, please use AddTagsToResource or "
            "RemoveTagsFromResource."
        )
    before = _present(ctx, name)
    if before is not None and not params.get("Overwrite", False):
        raise ParameterAlreadyExists
    previous = None if before is None else changes.newest(ctx.tx, ctx.sealing, before)
    plan = _plan(ctx, params, before, previous)
    if plan.data_type == domain_types.IMAGE and not domain_types.is_image(value):
        return _refused_later(ctx, name, before, plan)
    after = _next(ctx, name, params, before, plan)
    _keep(ctx, before, after, plan, Plaintext(value.encode()))
    changes.tell(ctx.publish, after, "Update" if before is not None else "Create", plan.kind, plan.description)
    return {"Version": after.version, "Tier": plan.tier}


def _present(ctx: Context, name: str) -> Parameter | None:
    """The parameter that is there. One whose time is over makes room first."""
    located = lookup.locate(ctx, name)
    if located.parameter is not None and lookup.is_over(ctx, located.parameter):
        policies.expire(ctx.tx, ctx.sealing, located.parameter, ctx.publish)
        return None
    return located.parameter


def _plan(ctx: Context, params: Params, before: Parameter | None, previous: Version | None) -> Plan:
    kind = _kind(params, previous)
    if "KeyId" in params and kind != SECURE:
        raise ValidationFailed("KeyId is required for SecureString type parameter only.")
    pattern = params.get("AllowedPattern", previous.allowed_pattern if previous is not None else "")
    _refuse_mismatch(pattern, params["Value"])
    data_type = params.get("DataType") or (previous.data_type if previous is not None else domain_types.TEXT)
    domain_types.refuse_unknown(data_type)
    if previous is not None:
        domain_types.refuse_change(previous.data_type, data_type)
    domain_types.refuse_value(data_type, kind, domain.path_of(params["Name"].strip(" ")), params["Value"])
    kept = _policies(ctx, params, before)
    return Plan(
        kind=kind,
        tier=_tier(ctx, params, previous, data_type, has_policies=bool(kept)),
        data_type=data_type,
        description=params.get("Description", previous.description if previous is not None else ""),
        allowed_pattern=pattern,
        key_id=params.get("KeyId", domain.DEFAULT_KEY) if kind == SECURE else "",
        policies=kept,
    )


def _kind(params: Params, previous: Version | None) -> Kind:
    """The type that the request names, else the one before. Raises ValidationFailed for a new parameter without one.

    A parameter may change its type: Terraform's tests against AWS overwrite a SecureString with a String. Unverified: when AWS raises
    HierarchyTypeMismatchException, which its model has for "changing a parameter type in a hierarchy"; here nothing does.
    """
    if "Type" not in params and previous is None:
        raise ValidationFailed("A parameter type is required when you create a parameter.")
    kind: Kind = params["Type"] if previous is None else params.get("Type", previous.kind)
    return kind


def _refuse_mismatch(pattern: str, value: str) -> None:
    """Raises InvalidAllowedPattern, ParameterPatternMismatch. Unverified: the message about a pattern that is none."""
    if not pattern:
        return
    try:
        fits = regular.fits(pattern, value)
    except regular.BadPattern as fault:
        raise InvalidAllowedPattern(f"The AllowedPattern can't be used: {fault}.") from None
    if not fits:
        raise ParameterPatternMismatch(pattern)


def _policies(ctx: Context, params: Params, before: Parameter | None) -> tuple[Policy, ...]:
    """The request's policies in place of those before; without a word those stay."""
    if "Policies" in params:
        given = domain_policies.parse_policies(params["Policies"])
        domain_policies.refuse_past(given, ctx.clock.now_ms())
        return given
    return () if before is None else domain_policies.after_change(before.policies)


def _tier(ctx: Context, params: Params, previous: Version | None, data_type: str, *, has_policies: bool) -> Tier:
    """Raises ValidationFailed, IncompatiblePolicy. Unverified: the messages; that an advanced parameter stays so if no tier is given."""
    present = previous.tier if previous is not None else None
    wanted = params.get("Tier") or (ADVANCED if present == ADVANCED else settings.default_tier(ctx))
    needs_advanced = has_policies or data_type in domain_types.ONLY_ADVANCED
    tier = domain.choose_tier(wanted, present, size_bytes=len(params["Value"].encode()), needs_advanced=needs_advanced)
    if tier == STANDARD and has_policies:
        raise IncompatiblePolicy("Parameter policies are supported for parameters of the advanced-parameter tier only.")
    if tier == STANDARD and needs_advanced:
        raise ValidationFailed(f"The data type {data_type} requires the advanced-parameter tier.")
    return tier


def _next(ctx: Context, name: str, params: Params, before: Parameter | None, plan: Plan) -> Parameter:
    """The parameter as it will be. Raises TooManyTags, ValidationFailed."""
    now_ms, place = ctx.clock.now_ms(), ctx.place
    expires_at_ms = domain_policies.expiration_ms(plan.policies)
    if before is not None:
        return replace(
            before,
            version=before.version + 1,
            policies=plan.policies,
            expires_at_ms=expires_at_ms,
            changed_at_ms=now_ms,
        )
    path = domain.path_of(name)
    return Parameter(
        id=random.uuid().replace("-", ""),
        partition=place.partition,
        account=place.account,
        region=place.region,
        name=name,
        path=path,
        parent=domain.parent_of(path),
        version=1,
        changed_at_ms=now_ms,
        tags=changes.merged_tags({}, params.get("Tags", [])),
        policies=plan.policies,
        expires_at_ms=expires_at_ms,
    )


def _keep(ctx: Context, before: Parameter | None, after: Parameter, plan: Plan, value: Plaintext) -> None:
    """The parameter with its new version; the oldest one goes when there are more than 100. Raises ParameterMaxVersionLimitExceeded."""
    beyond = after.version - domain.KEPT_VERSIONS
    if any(number <= beyond for number in after.labels.values()):
        raise ParameterMaxVersionLimitExceeded(after.name, beyond)
    sealed = values.seal(ctx, after, after.version, value, kind=plan.kind, tier=plan.tier, key_id=plan.key_id)
    version = Version(
        number=after.version,
        kind=plan.kind,
        tier=plan.tier,
        data_type=plan.data_type,
        description=plan.description,
        allowed_pattern=plan.allowed_pattern,
        key_id=plan.key_id,
        policies=plan.policies,
        sealed=sealed.sealed,
        wrapped=sealed.wrapped,
        modified_at_ms=after.changed_at_ms,
        modified_by=ctx.caller.arn,
    )
    if before is None:
        store.add(ctx.tx, ctx.sealing, after)
    else:
        store.save(ctx.tx, ctx.sealing, after)
        store.remove_versions(ctx.tx, after, up_to=beyond)
    store.add_version(ctx.tx, ctx.sealing, after, version)
    policies.plan(ctx.tx, after)


def _refused_later(ctx: Context, name: str, before: Parameter | None, plan: Plan) -> Params:
    """What is no machine image is answered as if it had been kept; an event says that it was not.

    Source: DataType, PutParameter, API reference; "Native parameter support for AMI IDs", user guide (the event).
    """
    arn = ctx.place.arn("ssm", f"parameter{domain.path_of(name)}")
    detail: Params = {
        "exception": "Unable to Describe Resource",
        "dataType": plan.data_type,
        "name": name,
        "type": plan.kind,
        "operation": "Create" if before is None else "Update",
    }
    ctx.publish(changes.SOURCE, changes.CHANGE, [arn], detail)
    return {"Version": 1 if before is None else before.version + 1, "Tier": plan.tier}


# -- delete -----------------------------------------------------------------------------------------------------------


@operation
def delete_parameter(ctx: Context, params: Params) -> Params:
    _delete(ctx, lookup.get(ctx, params["Name"]))
    return {}


@operation
def delete_parameters(ctx: Context, params: Params) -> Params:
    """Source: DeleteParameters, API reference. Unverified: that a name which occurs twice is told once."""
    deleted: list[str] = []
    invalid: list[str] = []
    gone: set[str] = set()
    for name in dict.fromkeys(params["Names"]):
        try:
            located = lookup.locate(ctx, name)
        except ValidationFailed:
            invalid.append(name)
            continue
        parameter = lookup.living(ctx, located)
        if parameter is None or located.reference.is_arn or located.reference.selector is not None:
            invalid.append(name)
        elif parameter.id not in gone:
            gone.add(parameter.id)
            _delete(ctx, parameter)
            deleted.append(name)
    return {"DeletedParameters": deleted, "InvalidParameters": invalid}


def _delete(ctx: Context, parameter: Parameter) -> None:
    version = changes.newest(ctx.tx, ctx.sealing, parameter)
    policies.forget(ctx.tx, parameter)
    store.remove(ctx.tx, parameter)
    changes.tell(ctx.publish, parameter, "Delete", version.kind, version.description)
