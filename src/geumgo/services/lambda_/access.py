"""What each operation of Lambda asks of the gate, and what of it the trail may keep: never code, environment or event.

Source: "Actions, resources, and condition keys for AWS Lambda", Service Authorization Reference.
"""

from collections.abc import Callable, Mapping
from typing import Final

from geumgo.access.demand import Demand, Demands, Target
from geumgo.access.ports import pass_role
from geumgo.context import Context, Params
from geumgo.room import Access
from geumgo.services.lambda_ import lookup

Keys = dict[str, tuple[str, ...]]
HOST: Final = "lambda.amazonaws.com"


def _demand(ctx: Context, action: str, params: Params, keys: Keys | None = None) -> Demand:
    """On the function as it is named. The ARN that a denial shows is made from the name, so it does not tell whether there is one."""
    located = lookup.locate(ctx, params)
    tags = located.function.tags if located.function is not None else {}
    about: Keys = {f"aws:ResourceTag/{key}": (value,) for key, value in tags.items()}
    target = Target(located.arn, located.arn, located.at.account, located.policy, tags=tags)
    return Demand(f"lambda:{action}", target, {**about, **(keys or {})})


def _on_function(action: str) -> Callable[[Context, Params], Demands]:
    def demands(ctx: Context, params: Params) -> Demands:
        return (_demand(ctx, action, params),)

    return demands


def _tag_keys(params: Params) -> Keys:
    tags = params.get("Tags") or {}
    keys: Keys = {f"aws:RequestTag/{key}": (value,) for key, value in tags.items()}
    return {**keys, "aws:TagKeys": tuple(tags)} if tags else keys


def _layer_demand(ctx: Context, action: str, arn: str) -> Demand:
    """On a layer or its version, by the ARN that it has or would have."""
    account = arn.split(":")[4] if arn.count(":") >= 6 else ctx.place.account
    return Demand(f"lambda:{action}", Target(arn, arn, account))


def _on_layer(action: str) -> Callable[[Context, Params], Demands]:
    def demands(ctx: Context, params: Params) -> Demands:
        name = params["LayerName"]
        arn = name if name.startswith("arn:") else ctx.place.arn("lambda", f"layer:{name}")
        numbered = f"{arn}:{params['VersionNumber']}" if "VersionNumber" in params else arn
        return (_layer_demand(ctx, action, numbered),)

    return demands


def _on_layer_arn(ctx: Context, params: Params) -> Demands:
    return (_layer_demand(ctx, "GetLayerVersion", params["Arn"]),)


def _anywhere(action: str) -> Callable[[Context, Params], Demands]:
    def demands(ctx: Context, params: Params) -> Demands:  # noqa: ARG001
        return (Demand(f"lambda:{action}"),)

    return demands


def _layer_keys(params: Params) -> Keys:
    layers = params.get("Layers") or []
    return {"lambda:Layer": tuple(layers)} if layers else {}


def _layering(ctx: Context, params: Params) -> Demands:
    """Whoever gives a function a layer must be allowed to get it."""
    return tuple(_layer_demand(ctx, "GetLayerVersion", arn) for arn in params.get("Layers") or [])


def _passing(ctx: Context, params: Params) -> Demands:
    """Whoever gives a function a role must be allowed to pass it to Lambda."""
    if "Role" not in params:
        return ()
    role = ctx.principals.role(ctx.tx, params["Role"])
    return (pass_role(params["Role"], role, HOST, lookup.locate(ctx, params).arn),)


def _create_function(ctx: Context, params: Params) -> Demands:
    tags = _tag_keys(params)
    tagging = (_demand(ctx, "TagResource", params, tags),) if tags else ()
    keys = {**tags, **_layer_keys(params)}
    return (_demand(ctx, "CreateFunction", params, keys), *tagging, *_passing(ctx, params), *_layering(ctx, params))


def _update_configuration(ctx: Context, params: Params) -> Demands:
    asked = _demand(ctx, "UpdateFunctionConfiguration", params, _layer_keys(params))
    return (asked, *_passing(ctx, params), *_layering(ctx, params))


def _permission(action: str) -> Callable[[Context, Params], Demands]:
    def demands(ctx: Context, params: Params) -> Demands:
        keys: Keys = {"lambda:Principal": (params["Principal"],)} if "Principal" in params else {}
        if "FunctionUrlAuthType" in params:
            keys["lambda:FunctionUrlAuthType"] = (params["FunctionUrlAuthType"],)
        return (_demand(ctx, action, params, keys),)

    return demands


def _tagging(action: str) -> Callable[[Context, Params], Demands]:
    def demands(ctx: Context, params: Params) -> Demands:
        keys = _tag_keys(params)
        if "TagKeys" in params:
            keys["aws:TagKeys"] = tuple(params["TagKeys"])
        return (_demand(ctx, action, lookup.by_arn(params), keys),)

    return demands


_CONFIGURED: Final = (
    "FunctionName", "Runtime", "Role", "Handler", "Description", "Timeout", "MemorySize", "EphemeralStorage", "KMSKeyArn", "Layers",
)  # fmt: skip
_ANSWERED: Final = (
    "FunctionName",
    "FunctionArn",
    "Runtime",
    "Role",
    "Handler",
    "CodeSize",
    "CodeSha256",
    "Version",
    "RevisionId",
)
_NAMED: Final = ("FunctionName", "Qualifier")

_ALIASED: Final = ("FunctionName", "Name", "FunctionVersion", "Description", "RevisionId")

_INVOKED: Final = 6_291_456  # bytes; source: "Lambda quotas" (6 MB), and the message that AWS gives
_PACKAGED: Final = (
    70_167_211  # bytes of a request with a package; source: recorded on AWS (a zip of 50 MB in base64, and 256 KB)
)

ACCESS: Final[Mapping[str, Access]] = {
    "AddPermission": Access(
        _permission("AddPermission"),
        recorded=(
            *_NAMED,
            "StatementId",
            "Action",
            "Principal",
            "SourceArn",
            "SourceAccount",
            "PrincipalOrgID",
            "FunctionUrlAuthType",
        ),
        answered=("Statement",),
    ),
    "CreateAlias": Access(_on_function("CreateAlias"), recorded=_ALIASED, answered=("AliasArn", "FunctionVersion")),
    "CreateFunction": Access(
        _create_function,
        recorded=(*_CONFIGURED, "Architectures", "Tags", "PackageType"),
        answered=_ANSWERED,
        largest_body=_PACKAGED,
    ),
    "DeleteAlias": Access(_on_function("DeleteAlias"), recorded=_ALIASED),
    **{
        name: Access(
            _on_function(name), recorded=(*_NAMED, "MaximumRetryAttempts", "MaximumEventAgeInSeconds", "MaxItems")
        )
        for name in (
            "DeleteFunctionEventInvokeConfig",
            "GetFunctionEventInvokeConfig",
            "ListFunctionEventInvokeConfigs",
            "PutFunctionEventInvokeConfig",
            "UpdateFunctionEventInvokeConfig",
        )
    },
    "DeleteLayerVersion": Access(_on_layer("DeleteLayerVersion"), recorded=("LayerName", "VersionNumber")),
    "GetLayerVersion": Access(_on_layer("GetLayerVersion"), recorded=("LayerName", "VersionNumber")),
    "GetLayerVersionByArn": Access(_on_layer_arn, recorded=("Arn",)),
    "ListLayerVersions": Access(_anywhere("ListLayerVersions"), recorded=("LayerName", "MaxItems")),
    "ListLayers": Access(_anywhere("ListLayers"), recorded=("MaxItems",)),
    "PublishLayerVersion": Access(
        _on_layer("PublishLayerVersion"),
        recorded=("LayerName", "Description", "CompatibleRuntimes", "CompatibleArchitectures", "LicenseInfo"),
        answered=("LayerVersionArn", "Version"),
        largest_body=_PACKAGED,
    ),
    "DeleteFunctionConcurrency": Access(_on_function("DeleteFunctionConcurrency"), recorded=_NAMED),
    "GetAlias": Access(_on_function("GetAlias"), recorded=_ALIASED),
    "GetFunctionCodeSigningConfig": Access(_on_function("GetFunctionCodeSigningConfig"), recorded=_NAMED),
    "GetFunctionConcurrency": Access(_on_function("GetFunctionConcurrency"), recorded=_NAMED),
    "ListAliases": Access(_on_function("ListAliases"), recorded=(*_NAMED, "FunctionVersion", "MaxItems")),
    "ListTags": Access(_tagging("ListTags"), recorded=("Resource",)),
    "ListVersionsByFunction": Access(_on_function("ListVersionsByFunction"), recorded=(*_NAMED, "MaxItems")),
    "PublishVersion": Access(
        _on_function("PublishVersion"),
        recorded=("FunctionName", "CodeSha256", "Description", "RevisionId"),
        answered=_ANSWERED,
    ),
    "PutFunctionConcurrency": Access(
        _on_function("PutFunctionConcurrency"), recorded=("FunctionName", "ReservedConcurrentExecutions")
    ),
    "TagResource": Access(_tagging("TagResource"), recorded=("Resource", "Tags")),
    "UntagResource": Access(_tagging("UntagResource"), recorded=("Resource", "TagKeys")),
    "UpdateAlias": Access(_on_function("UpdateAlias"), recorded=_ALIASED, answered=("AliasArn", "FunctionVersion")),
    "DeleteFunction": Access(_on_function("DeleteFunction"), recorded=_NAMED),
    "GetFunction": Access(_on_function("GetFunction"), recorded=_NAMED),
    "GetFunctionConfiguration": Access(_on_function("GetFunctionConfiguration"), recorded=_NAMED),
    "GetPolicy": Access(_on_function("GetPolicy"), recorded=_NAMED),
    "Invoke": Access(
        _on_function("InvokeFunction"),
        recorded=(*_NAMED, "InvocationType", "LogType"),
        answered=("StatusCode", "FunctionError", "ExecutedVersion"),
        largest_body=_INVOKED,
        largest_body_of="InvokeFunction",
    ),
    "ListFunctions": Access(_anywhere("ListFunctions"), recorded=("MasterRegion", "FunctionVersion", "MaxItems")),
    "RemovePermission": Access(_on_function("RemovePermission"), recorded=(*_NAMED, "StatementId")),
    "UpdateFunctionCode": Access(
        _on_function("UpdateFunctionCode"),
        recorded=("FunctionName", "Architectures", "DryRun", "RevisionId"),
        answered=_ANSWERED,
        largest_body=_PACKAGED,
    ),
    "UpdateFunctionConfiguration": Access(
        _update_configuration, recorded=(*_CONFIGURED, "RevisionId"), answered=_ANSWERED
    ),
}
