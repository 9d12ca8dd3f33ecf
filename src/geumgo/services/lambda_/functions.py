"""Functions: made, shown, changed, deleted."""

import hashlib
import json
from base64 import b64encode
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

from geumgo.context import Context, Params
from geumgo.errors import ServiceError
from geumgo.functions import package
from geumgo.room import operation, reads
from geumgo.sealing import Plaintext, random
from geumgo.services.lambda_ import domain, lookup, store
from geumgo.services.lambda_.errors import InvalidParameterValue, ResourceConflict, ResourceNotFound, revision_differs
from geumgo.services.lambda_.records import LATEST, Function, Version

PAGE: Final = 50  # source: ListFunctions, API reference


@operation
def create_function(ctx: Context, request: Params) -> Params:
    """The function is there and can be invoked at once.

    Raises:
        ResourceConflict: there is one of that name.
        InvalidParameterValue: the package, the role, or the configuration cannot be used.

    Source: CreateFunction, API reference; the messages as recorded on AWS. AWS answers State Pending first.
    """
    domain.refuse_absent(request)
    located = lookup.locate(ctx, request)
    if located.at.qualifier or located.at.account != ctx.place.account:
        raise InvalidParameterValue("The name of a new function has neither a qualifier nor another account.")
    runtime, handler = request.get("Runtime"), request.get("Handler")
    if runtime is None or handler is None:
        raise InvalidParameterValue(
            "Runtime and Handler are mandatory parameters for functions created with deployment packages."
        )
    domain.refuse_runtime(runtime)
    content = _package(request["Code"])
    if located.function is not None:
        raise ResourceConflict(f"Function already exist: {located.at.name}")
    tags = request.get("Tags") or {}
    domain.refuse_tags(tags)
    _refuse_role(ctx, request["Role"], located.arn)
    place = ctx.place
    function = Function(
        id=random.uuid(),
        partition=place.partition,
        account=place.account,
        region=place.region,
        name=located.at.name,
        tags=tags,
    )
    version = Version(
        function_id=function.id,
        number=0,
        role=request["Role"],
        handler=handler,
        runtime=runtime,
        description=request.get("Description", ""),
        timeout_s=request.get("Timeout", domain.TIMEOUT_S),
        memory_mb=request.get("MemorySize", domain.MEMORY_MB),
        storage_mb=request.get("EphemeralStorage", {}).get("Size", domain.STORAGE_MB),
        architecture=(request.get("Architectures") or ["x86_64"])[0],
        code_sha256=hashlib.sha256(content).hexdigest(),
        code_size=len(content),
        modified_at_ms=ctx.clock.now_ms(),
        revision_id=random.uuid(),
    )
    version = replace(version, environment=_sealed(ctx, function, request.get("Environment", {}).get("Variables", {})))
    store.add(ctx.tx, ctx.sealing, function)
    store.keep_code(ctx.tx, ctx.sealing, function, version.code_sha256, content)
    store.keep_version(ctx.tx, ctx.sealing, version)
    return shown(ctx, function, version)


@reads
def get_function(ctx: Context, request: Params) -> Params:
    """The configuration, the tags, the reserved concurrency. The code stays here: there is no place to download it from."""
    function, version = lookup.get_version(ctx, request)
    answer: Params = {
        "Configuration": shown(ctx, function, version, qualified=_is_qualified(ctx, request)),
        "Code": {"RepositoryType": "S3"},
    }
    if function.tags:
        answer["Tags"] = dict(function.tags)
    if function.concurrency is not None:
        answer["Concurrency"] = {"ReservedConcurrentExecutions": function.concurrency}
    return answer


@reads
def get_function_configuration(ctx: Context, request: Params) -> Params:
    function, version = lookup.get_version(ctx, request)
    return shown(ctx, function, version, qualified=_is_qualified(ctx, request))


@reads
def list_functions(ctx: Context, request: Params) -> Params:
    """A page of the functions of this place, by name. Source: ListFunctions, API reference: 50 a page at most."""
    if request.get("MasterRegion", "ALL") not in ("ALL", ctx.place.region):
        return {"Functions": []}
    limit = min(request.get("MaxItems", PAGE), PAGE)
    after = request.get("Marker", "")
    if "\0" in after:
        raise InvalidParameterValue("The marker is not one that this listing gave.")
    found = store.page(ctx.tx, ctx.sealing, ctx.place.account, ctx.place.region, after=after, limit=limit + 1)
    listed = []
    for function in found[:limit]:
        version = store.find_version(ctx.tx, ctx.sealing, function, 0)
        assert version is not None, f"function {function.id} has no $LATEST"
        listed.append(shown(ctx, function, version, qualified=request.get("FunctionVersion") == "ALL"))
    return {"Functions": listed, **({"NextMarker": found[limit - 1].name} if len(found) > limit else {})}


@operation
def update_function_code(ctx: Context, request: Params) -> Params:
    """$LATEST has this code. With DryRun nothing is changed, but everything is checked.

    Raises PreconditionFailed: RevisionId is given and is not that of $LATEST.
    """
    domain.refuse_absent({name: request[name] for name in ("Publish", "PublishTo") if name in request})
    function, before = _latest(ctx, request)
    content = _package(request)
    after = replace(
        before,
        code_sha256=hashlib.sha256(content).hexdigest(),
        code_size=len(content),
        architecture=(request.get("Architectures") or [before.architecture])[0],
    )
    if request.get("DryRun", False):
        return shown(ctx, function, after)
    after = _changed(ctx, after)
    store.keep_code(ctx.tx, ctx.sealing, function, after.code_sha256, content)
    store.keep_version(ctx.tx, ctx.sealing, after)
    if after.code_sha256 != before.code_sha256:
        store.drop_code(ctx.tx, function, before.code_sha256)
    return shown(ctx, function, after)


@operation
def update_function_configuration(ctx: Context, request: Params) -> Params:
    """$LATEST has this configuration; what was not given stays. Raises PreconditionFailed, InvalidParameterValue."""
    domain.refuse_absent(request)
    function, version = _latest(ctx, request)
    if "Runtime" in request:
        domain.refuse_runtime(request["Runtime"])
    if "Role" in request:
        _refuse_role(ctx, request["Role"], function.arn)
    changes: dict[str, Any] = {
        field: request[member]
        for member, field in (
            ("Role", "role"), ("Handler", "handler"), ("Runtime", "runtime"), ("Description", "description"),
            ("Timeout", "timeout_s"), ("MemorySize", "memory_mb"),
        )
        if member in request
    }  # fmt: skip
    if "EphemeralStorage" in request:
        changes["storage_mb"] = request["EphemeralStorage"]["Size"]
    if "Environment" in request:
        changes["environment"] = _sealed(ctx, function, request["Environment"].get("Variables", {}))
    changed = _changed(ctx, replace(version, **changes))
    store.keep_version(ctx.tx, ctx.sealing, changed)
    return shown(ctx, function, changed)


@operation
def delete_function(ctx: Context, request: Params) -> Params:
    """The function is gone with everything about it. Source: DeleteFunction, API reference ($LATEST cannot be deleted alone)."""
    function = lookup.get(ctx, request)
    qualifier = lookup.locate(ctx, request).at.qualifier
    if qualifier == LATEST:
        raise InvalidParameterValue("$LATEST version cannot be deleted without deleting the function.")
    if qualifier:
        raise ResourceNotFound(f"Function not found: {function.arn}:{qualifier}")
    store.remove(ctx.tx, function)
    return {"StatusCode": 204}


# -- what they share ---------------------------------------------------------------------------------------------------


def _latest(ctx: Context, request: Params) -> tuple[Function, Version]:
    """What may be changed. Raises ResourceNotFound, InvalidParameterValue, PreconditionFailed."""
    if lookup.locate(ctx, request).at.qualifier not in ("", LATEST):
        raise InvalidParameterValue("A published version cannot be changed.")
    function, version = lookup.get_version(ctx, request)
    if "RevisionId" in request and request["RevisionId"] != version.revision_id:
        raise revision_differs("GetFunction/GetAlias")
    return function, version


def _changed(ctx: Context, version: Version) -> Version:
    return replace(version, modified_at_ms=ctx.clock.now_ms(), revision_id=random.uuid())


def _package(code: Params) -> bytes:
    """The package of a request, which was read. Source: recorded on AWS (both sentences)."""
    if any(code.get(member) for member in ("S3Bucket", "S3Key", "ImageUri", "SourceKMSKeyArn")):
        raise InvalidParameterValue(
            "Packages are not fetched from S3 or a registry here. Send the zip file itself (ZipFile)."
        )
    content: bytes | None = code.get("ZipFile")
    if not content:
        raise InvalidParameterValue("Please provide a source for function code.")
    try:
        package.read(content)
    except package.TooLarge as refusal:
        raise InvalidParameterValue(f"{refusal}") from None
    except package.BadPackage as refusal:
        raise InvalidParameterValue(
            f"Could not unzip uploaded file. Please check your file, then try to upload again. ({refusal})"
        ) from None
    return content


def _refuse_role(ctx: Context, role: str, function_arn: str) -> None:
    """Raises InvalidParameterValue unless Lambda may assume the role. Source: recorded on AWS (the sentence)."""
    try:
        ctx.act(
            "sts", "AssumeRole", source_arn=function_arn, RoleArn=role, RoleSessionName="lambda", DurationSeconds=900
        )
    except ServiceError:
        raise InvalidParameterValue("The role defined for the function cannot be assumed by Lambda.") from None


def _environment_context(function: Function) -> dict[str, str]:
    return {
        "label": "lambda environment",
        "account": function.account,
        "region": function.region,
        "function": function.id,
    }


def _sealed(ctx: Context, function: Function, variables: dict[str, str]) -> bytes | None:
    """Raises InvalidParameterValue."""
    if not variables:
        return None
    text = json.dumps(domain.checked_environment(variables)).encode()
    return ctx.sealing.wrap("lambda", _environment_context(function), Plaintext(text))


def environment(ctx: Context, function: Function, version: Version) -> dict[str, str]:
    """The variables of a version. Raises Unsealable."""
    if version.environment is None:
        return {}
    opened = ctx.sealing.unwrap("lambda", _environment_context(function), version.environment)
    found: dict[str, str] = json.loads(opened.reveal())
    return found


def _is_qualified(ctx: Context, request: Params) -> bool:
    return bool(lookup.locate(ctx, request).at.qualifier)


def shown(ctx: Context, function: Function, version: Version, *, qualified: bool = False) -> Params:
    """A version as Lambda shows it. Source: FunctionConfiguration, API reference; the form of LastModified as recorded on AWS."""
    at = datetime.fromtimestamp(version.modified_at_ms / 1000, UTC)
    variables = environment(ctx, function, version)
    return {
        "FunctionName": function.name,
        "FunctionArn": f"{function.arn}:{version.name}" if qualified else function.arn,
        "Runtime": version.runtime,
        "Role": version.role,
        "Handler": version.handler,
        "CodeSize": version.code_size,
        "Description": version.description,
        "Timeout": version.timeout_s,
        "MemorySize": version.memory_mb,
        "LastModified": at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{version.modified_at_ms % 1000:03d}+0000",
        "CodeSha256": b64encode(bytes.fromhex(version.code_sha256)).decode(),
        "Version": version.name,
        "TracingConfig": {"Mode": "PassThrough"},
        "RevisionId": version.revision_id,
        "State": "Active",
        "LastUpdateStatus": "Successful",
        "PackageType": "Zip",
        "Architectures": [version.architecture],
        "EphemeralStorage": {"Size": version.storage_mb},
        "SnapStart": {"ApplyOn": "None", "OptimizationStatus": "Off"},
        "LoggingConfig": {"LogFormat": "Text", "LogGroup": f"/aws/lambda/{function.name}"},
        **({"Environment": {"Variables": variables}} if variables else {}),
    }
