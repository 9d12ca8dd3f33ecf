"""What each operation of Parameter Store asks of the gate, and what of it the trail may keep.

Every spelling of a parameter (`a`, `/a`, its ARN, with a selector) is one ARN before the gate sees it.

Source: "Actions, resources, and condition keys for AWS Systems Manager", Service Authorization Reference; "Preventing access to Parameter
Store API operations", user guide.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from geumgo.access.demand import Demand, Demands, Target
from geumgo.access.ports import pass_role
from geumgo.context import Context, Params
from geumgo.domain.automation import ROLE
from geumgo.domain.policy import MalformedPolicy, Policy
from geumgo.room import Access
from geumgo.sealing import Unsealable
from geumgo.services.ssm import automation, domain, lookup, settings
from geumgo.services.ssm.errors import AccessDenied, ValidationFailed
from geumgo.services.ssm.lookup import Located
from geumgo.services.ssm.records import Parameter

Keys = dict[str, tuple[str, ...]]
Declare = Callable[[Context, Params], Demands]

PARAMETER: Final = "Parameter"
"""The ResourceType of parameters where tags are concerned."""


# -- targets ----------------------------------------------------------------------------------------------------------


def _policy_of(located: Located) -> Policy | None:
    try:
        return None if located.policy is None else lookup.compiled(located.policy)
    except MalformedPolicy:
        raise Unsealable(f"the policy of {located.reference.arn} is vouched for and cannot be read") from None


def demand(action: str, located: Located, keys: Keys, tags: Mapping[str, str] | None = None) -> Demand:
    """`action` on a parameter; it may not be there. `tags`: those that it will have, where they are not those that it has.

    The ARN follows from the name alone, so a denial that shows it does not tell whether the parameter exists.
    """
    worn = tags if tags is not None else located.parameter.tags if located.parameter is not None else {}
    arn = located.reference.arn
    target = Target(arn, arn, located.reference.account, _policy_of(located), tags=worn)
    return Demand(f"ssm:{action}", target, {**_about(worn), **keys})


def _about(tags: Mapping[str, str]) -> Keys:
    return {f"ssm:resourceTag/{key}": (value,) for key, value in tags.items()}


def _on_arn(action: str, ctx: Context, resource: str, keys: Keys | None = None) -> Demand:
    """`action` on something of the caller's account that is no parameter, or is called as no parameter can be."""
    arn = resource if resource.startswith("arn:") else ctx.place.arn("ssm", resource)
    return Demand(f"ssm:{action}", Target(arn, arn, ctx.place.account), keys or {})


# -- what must not be read although the path above it may be ------------------------------------------------------------

_READS: Final = ("GetParametersByPath", "GetParameter", "GetParameters")


def is_forbidden(ctx: Context, parameter: Parameter) -> bool:
    """Whether a policy explicitly denies the caller to read `parameter`, by whichever operation that reads its newest value.

    AWS does not ask, see `Settings.honour_child_denies`.
    """
    place = ctx.place
    reference = domain.Reference(
        place.partition, parameter.account, parameter.region, parameter.path, None, is_arn=False
    )
    located = Located(reference, parameter)
    return any(ctx.forbids(demand(action, located, _BELOW if action == _READS[0] else {})) for action in _READS)


def refuse_forbidden_path(ctx: Context, level: str) -> None:
    """Raises AccessDenied if a policy explicitly denies the path, spelled without the slash at its end that a request may have."""
    wanted = _on_arn("GetParametersByPath", ctx, f"parameter{level}")
    if ctx.forbids(wanted):
        assert wanted.target is not None, "a path is asked about"
        raise AccessDenied(
            f"User: {ctx.caller.arn} is not authorized to perform: {wanted.action} on resource: {wanted.target.arn} with an "
            "explicit deny"
        )


_BELOW: Final[Keys] = {"ssm:Recursive": ("true",)}


# -- the shapes of declarations ---------------------------------------------------------------------------------------


def _on_own_parameter(action: str) -> Declare:
    """On the parameter in `Name`, which is of the caller's account: an ARN is no name here. Source: the operations, API reference."""

    def demands(ctx: Context, params: Params) -> Demands:
        _refuse_more_than_a_name(params["Name"])
        return (demand(action, lookup.locate(ctx, params["Name"]), {}),)

    return demands


def _refuse_more_than_a_name(name: str) -> None:
    """Raises ValidationFailed for an ARN, or a name with a selector."""
    if ":" in name:
        raise domain.bad_name()


def _readable(params: Params) -> None:
    """Texts that cannot be kept are refused."""
    domain.refuse_unstorable({name: value for name, value in params.items() if name != "Value"})


# -- declarations that need more words --------------------------------------------------------------------------------


def _read(ctx: Context, action: str, name: str) -> Demand:
    """The demand of a read of one value, kept for as long as what it was made of."""
    located = lookup.locate_value(ctx, name)
    if located.parameter is None:
        return demand(action, located, {})
    made = ctx.tx.derived(
        ("ssm.demand", ctx.place, action, name), lambda: replace(demand(action, located, {}), permitted={})
    )
    assert made is not None, "there is a demand for every parameter"
    return made


def _get_parameter(ctx: Context, params: Params) -> Demands:
    return (_read(ctx, "GetParameter", params["Name"]),)


def _of_each(action: str, look: Callable[[Context, str, str], Demand]) -> Declare:
    """One demand for each of `Names`. What no parameter can be called is asked for as it was spelled, and is answered as invalid."""

    def demands(ctx: Context, params: Params) -> Demands:
        made = []
        for name in params["Names"]:
            try:
                made.append(look(ctx, action, name))
            except ValidationFailed:
                made.append(_on_arn(action, ctx, f"parameter{domain.path_of(name.strip(' ').partition(':')[0])}"))
        return made

    return demands


def _delete_one(ctx: Context, action: str, name: str) -> Demand:
    _refuse_more_than_a_name(name)
    return demand(action, lookup.locate(ctx, name), {})


def _put_parameter(ctx: Context, params: Params) -> Demands:
    """With the tags that a new parameter will have. Whether it is there makes no difference but for its tags.

    Unverified: that both keys are always there, and that ssm:Policies is true for a parameter that has policies already.
    """
    name = params["Name"].strip(" ")
    _refuse_more_than_a_name(name)
    located = _located_for_put(ctx, name)
    tags = _tags_of(params.get("Tags", []))
    has_policies = "Policies" in params or (located.parameter is not None and bool(located.parameter.policies))
    keys: Keys = {
        "ssm:Overwrite": ("true" if params.get("Overwrite", False) else "false",),
        "ssm:Policies": ("true" if has_policies else "false",),
        **_request_tags(tags),
    }
    made = [demand("PutParameter", located, keys, tags if located.parameter is None else None)]
    if tags:
        made.append(demand("AddTagsToResource", located, _request_tags(tags), tags))
    return made


def _located_for_put(ctx: Context, name: str) -> Located:
    """A reserved name has an ARN like any other: the operation refuses it when the gate has been asked."""
    try:
        domain.refuse_new_name(name, ctx.place.arn("ssm", "parameter"))
    except AccessDenied:
        place = ctx.place
        return Located(domain.Reference(place.partition, place.account, place.region, name, None, is_arn=False))
    return lookup.locate(ctx, name)


def _get_parameters_by_path(ctx: Context, params: Params) -> Demands:
    """On the path as it was sent, a slash at its end included. Source: denials that users of AWS report."""
    path = domain.path_of(params["Path"].strip(" "))
    recursive = "true" if params.get("Recursive", False) else "false"
    return (_on_arn("GetParametersByPath", ctx, f"parameter{path}", {"ssm:Recursive": (recursive,)}),)


def _on_setting(action: str) -> Declare:
    """On the service setting in `SettingId`."""

    def demands(ctx: Context, params: Params) -> Demands:
        return (_on_arn(action, ctx, settings.arn_of(ctx, params["SettingId"])),)

    return demands


def _on_shared(action: str) -> Declare:
    """On the parameter in `ResourceArn`."""

    def demands(ctx: Context, params: Params) -> Demands:
        given = params["ResourceArn"]
        try:
            located = lookup.locate(ctx, given) if given.startswith("arn:") else None
        except ValidationFailed:
            located = None
        return (_on_arn(action, ctx, given) if located is None else demand(action, located, {}),)

    return demands


def _history(ctx: Context, params: Params) -> Demands:
    located = lookup.locate(ctx, params["Name"])
    if located.reference.selector is not None:
        raise domain.bad_name()
    return (demand("GetParameterHistory", located, {}),)


def _start_automation(ctx: Context, params: Params) -> Demands:
    """On the document's version; whoever hands it a role must be allowed to.

    Source: StartAutomationExecution, Service Authorization Reference; "Setting up Automation", user guide (iam:PassRole).
    """
    version = params.get("DocumentVersion", "$DEFAULT")
    name = automation.name_of(params["DocumentName"])
    roles = params.get("Parameters", {}).get(ROLE, [])[:1]
    return (
        _on_arn("StartAutomationExecution", ctx, f"automation-definition/{name}:{version}"),
        *(pass_role(role, ctx.principals.role(ctx.tx, role), "ssm.amazonaws.com") for role in roles),
    )


def _get_automation(ctx: Context, params: Params) -> Demands:
    return (_on_arn("GetAutomationExecution", ctx, f"automation-execution/{params['AutomationExecutionId']}"),)


def _without_resource(action: str) -> Declare:
    def demands(ctx: Context, params: Params) -> Demands:  # noqa: ARG001
        return (Demand(f"ssm:{action}"),)

    return demands


def _tags_of(listed: list[dict[str, str]]) -> dict[str, str]:
    return {tag["Key"]: tag.get("Value", "") for tag in listed if "Key" in tag}


def _request_tags(tags: Mapping[str, str]) -> Keys:
    keys: Keys = {f"aws:RequestTag/{key}": (value,) for key, value in tags.items()}
    return {**keys, "aws:TagKeys": tuple(tags)} if tags else keys


def _tagged(action: str, ctx: Context, params: Params, keys: Keys, added: Mapping[str, str], removed: Any) -> Demands:
    """On the resource as it is, and as it will be: nobody may tag himself out of his rights."""
    kind, name = params["ResourceType"], params["ResourceId"]
    if kind != PARAMETER:
        return (_on_arn(action, ctx, f"{kind.lower()}/{name}", keys),)
    try:
        _refuse_more_than_a_name(name)
        located = lookup.locate(ctx, name)
    except ValidationFailed:
        return (_on_arn(action, ctx, f"parameter{domain.path_of(name)}", keys),)
    before = demand(action, located, keys)
    if located.parameter is None or not (added or removed):
        return (before,)
    after = {key: value for key, value in located.parameter.tags.items() if key not in removed} | dict(added)
    return (before, demand(action, located, keys, after))


def _add_tags(ctx: Context, params: Params) -> Demands:
    tags = _tags_of(params["Tags"])
    return _tagged("AddTagsToResource", ctx, params, _request_tags(tags), tags, ())


def _remove_tags(ctx: Context, params: Params) -> Demands:
    keys: Keys = {"aws:TagKeys": tuple(params["TagKeys"])} if params["TagKeys"] else {}
    return _tagged("RemoveTagsFromResource", ctx, params, keys, {}, params["TagKeys"])


def _list_tags(ctx: Context, params: Params) -> Demands:
    return _tagged("ListTagsForResource", ctx, params, {}, {}, ())


# -- the table --------------------------------------------------------------------------------------------------------

_PAGE: Final = ("MaxResults",)

_DECLARED: Final[Mapping[str, tuple[Declare, tuple[str, ...], tuple[str, ...]]]] = {
    "AddTagsToResource": (_add_tags, ("ResourceType", "ResourceId", "Tags"), ()),
    "DeleteParameter": (_on_own_parameter("DeleteParameter"), ("Name",), ()),
    "DeleteParameters": (
        _of_each("DeleteParameters", _delete_one), ("Names",), ("DeletedParameters", "InvalidParameters")
    ),
    "DeleteResourcePolicy": (
        _on_shared("DeleteResourcePolicy"), ("ResourceArn", "PolicyId", "PolicyHash", "DeletionMode"), ()
    ),
    "DescribeAutomationExecutions": (
        _without_resource("DescribeAutomationExecutions"), ("Filters", *_PAGE), ()
    ),
    "DescribeParameters": (
        _without_resource("DescribeParameters"), ("Filters", "ParameterFilters", *_PAGE, "Shared"), ()
    ),
    "GetAutomationExecution": (_get_automation, ("AutomationExecutionId",), ()),
    "GetParameter": (_get_parameter, ("Name", "WithDecryption"), ()),
    "GetParameterHistory": (_history, ("Name", "WithDecryption", *_PAGE), ()),
    "GetParameters": (
        _of_each("GetParameters", lambda ctx, action, name: _read(ctx, action, name)), ("Names", "WithDecryption"), ()
    ),
    "GetParametersByPath": (
        _get_parameters_by_path, ("Path", "Recursive", "ParameterFilters", "WithDecryption", *_PAGE), ()
    ),
    "GetResourcePolicies": (_on_shared("GetResourcePolicies"), ("ResourceArn", *_PAGE), ()),
    "GetServiceSetting": (_on_setting("GetServiceSetting"), ("SettingId",), ()),
    "LabelParameterVersion": (
        _on_own_parameter("LabelParameterVersion"),
        ("Name", "ParameterVersion", "Labels"),
        ("InvalidLabels", "ParameterVersion"),
    ),
    "ListTagsForResource": (_list_tags, ("ResourceType", "ResourceId"), ()),
    "PutParameter": (
        _put_parameter,
        ("Name", "Description", "Type", "KeyId", "Overwrite", "AllowedPattern", "Tags", "Tier", "Policies", "DataType"),
        ("Version", "Tier"),
    ),
    "PutResourcePolicy": (
        _on_shared("PutResourcePolicy"), ("ResourceArn", "Policy", "PolicyId", "PolicyHash"), ("PolicyId", "PolicyHash")
    ),
    "RemoveTagsFromResource": (_remove_tags, ("ResourceType", "ResourceId", "TagKeys"), ()),
    "ResetServiceSetting": (_on_setting("ResetServiceSetting"), ("SettingId",), ()),
    "StartAutomationExecution": (
        _start_automation, ("DocumentName", "DocumentVersion", "ClientToken", "Mode"), ("AutomationExecutionId",)
    ),
    "UnlabelParameterVersion": (
        _on_own_parameter("UnlabelParameterVersion"),
        ("Name", "ParameterVersion", "Labels"),
        ("RemovedLabels", "InvalidLabels"),
    ),
    "UpdateServiceSetting": (_on_setting("UpdateServiceSetting"), ("SettingId", "SettingValue"), ()),
}  # fmt: skip

ACCESS: Final[Mapping[str, Access]] = {
    name: Access(
        declare,
        recorded,
        answered,
        check=_readable,
        repeats=name == "GetParameter",
        names="Name" if name == "GetParameter" else "",
    )
    for name, (declare, recorded, answered) in _DECLARED.items()
}
