"""Functions: made, shown, changed, deleted."""

import hashlib
from dataclasses import replace
from typing import Any, Final

from geumgo.context import Context, Params
from geumgo.errors import ServiceError
from geumgo.functions import NotRun, package
from geumgo.functions.runtimes import RUNTIMES
from geumgo.room import operation, reads
from geumgo.sealing import random
from geumgo.services.lambda_ import domain, lookup, store, store_events
from geumgo.services.lambda_.environment import environment, with_variables
from geumgo.services.lambda_.errors import (
    InvalidParameterValue,
    ResourceConflict,
    kms_refused,
    no_such_function,
    revision_differs,
)
from geumgo.services.lambda_.layers import chosen
from geumgo.services.lambda_.listing import name_of, page_end
from geumgo.services.lambda_.packages import read_package
from geumgo.services.lambda_.records import LATEST, Function, Version
from geumgo.services.lambda_.showing import shown
from geumgo.services.lambda_.versions import publish

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
    _refuse_runtime(ctx, runtime)
    content = read_package(request["Code"])
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
    layers = chosen(ctx, request.get("Layers", []), unpacked_bytes=package.read(content))
    variables = request.get("Environment", {}).get("Variables", {})
    version = with_variables(ctx, function, replace(version, layers=layers), variables, request.get("KMSKeyArn", ""))
    store.add(ctx.tx, ctx.sealing, function)
    store.keep_code(ctx.tx, ctx.sealing, function, version.code_sha256, content)
    store.keep_version(ctx.tx, ctx.sealing, version)
    if request.get("Publish", False):
        return shown(ctx, function, publish(ctx, function, version), qualified=True)
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
    if request.get("FunctionVersion") == "ALL":
        return _list_all(ctx, request)
    limit = min(request.get("MaxItems", PAGE), PAGE)
    found = _page(ctx, name_of(request.get("Marker")), limit + 1)
    listed = [shown(ctx, function, lookup.latest(ctx, function)) for function in found[:limit]]
    return {"Functions": listed, **page_end(found[limit - 1].name if len(found) > limit else None)}


def _list_all(ctx: Context, request: Params) -> Params:
    """The functions of a page with their published versions. Such a page may be longer than what was asked for: a function is not split."""
    limit = min(request.get("MaxItems", PAGE), PAGE)
    found = _page(ctx, name_of(request.get("Marker")), limit + 1)
    listed = [
        shown(ctx, function, version, qualified=True)
        for function in found[:limit]
        for version in store.versions(ctx.tx, ctx.sealing, function)
    ]
    return {"Functions": listed, **page_end(found[limit - 1].name if len(found) > limit else None)}


def _page(ctx: Context, after: str, limit: int) -> list[Function]:
    return store.page(ctx.tx, ctx.sealing, ctx.place.account, ctx.place.region, after=after, limit=limit)


@operation
def update_function_code(ctx: Context, request: Params) -> Params:
    """$LATEST has this code. With DryRun nothing is changed, but everything is checked.

    Raises PreconditionFailed: RevisionId is given and is not that of $LATEST.
    """
    domain.refuse_absent({name: request[name] for name in ("PublishTo",) if name in request})
    function, before = _latest(ctx, request)
    content = read_package(request)
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
    store.drop_unused_code(ctx.tx, ctx.sealing, function)
    if request.get("Publish", False):
        return shown(ctx, function, publish(ctx, function, after), qualified=True)
    return shown(ctx, function, after)


@operation
def update_function_configuration(ctx: Context, request: Params) -> Params:
    """$LATEST has this configuration; what was not given stays. Raises PreconditionFailed, InvalidParameterValue."""
    domain.refuse_absent(request)
    function, version = _latest(ctx, request)
    if "Runtime" in request:
        _refuse_runtime(ctx, request["Runtime"])
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
    if "Layers" in request:
        code = store.code(ctx.tx, ctx.sealing, function, version.code_sha256)
        changes["layers"] = chosen(ctx, request["Layers"], unpacked_bytes=package.read(code), before=version.layers)
    version = _with_environment(ctx, request, function, version)
    changed = _changed(ctx, replace(version, **changes))
    store.keep_version(ctx.tx, ctx.sealing, changed)
    return shown(ctx, function, changed)


@operation
def delete_function(ctx: Context, request: Params) -> Params:
    """The function is gone with everything about it; or, if a version is named, that version.

    Raises:
        InvalidParameterValue: $LATEST alone was named.
        ResourceConflict: an alias leads to the version.

    Source: DeleteFunction, API reference. Unverified: the messages.
    """
    function = lookup.get(ctx, request)
    qualifier = lookup.locate(ctx, request).at.qualifier
    if qualifier == LATEST:
        raise InvalidParameterValue("$LATEST version cannot be deleted without deleting the function.")
    if not qualifier:
        store.remove(ctx.tx, function)
        return {"StatusCode": 204}
    number = domain.version_number(qualifier)
    if number is None or store.find_version(ctx.tx, ctx.sealing, function, number) is None:
        raise no_such_function(f"{function.arn}:{qualifier}")
    if any(alias.number == number for alias in store.aliases(ctx.tx, ctx.sealing, function)):
        raise ResourceConflict(f"Version {number} cannot be deleted: an alias points to it.")
    store.remove_version(ctx.tx, function, number)
    store_events.remove_patience(ctx.tx, function.id, qualifier)
    store.drop_unused_code(ctx.tx, ctx.sealing, function)
    policies = {name: each for name, each in function.policies.items() if name != qualifier}
    store.save(ctx.tx, ctx.sealing, replace(function, policies=policies))
    return {"StatusCode": 204}


def _with_environment(ctx: Context, request: Params, function: Function, version: Version) -> Version:
    """The version with the variables and the key that the request gives it; a new key protects the old variables too."""
    if "Environment" not in request and "KMSKeyArn" not in request:
        return version
    key = request.get("KMSKeyArn", version.kms_key)
    if "Environment" in request:
        variables = request["Environment"].get("Variables", {})
    else:
        try:
            variables = environment(ctx.sealing, function, version, lambda asked: ctx.call("kms", "Decrypt", **asked))
        except ServiceError as refusal:
            raise InvalidParameterValue(kms_refused(refusal).message) from None
    return with_variables(ctx, function, version, variables, key)


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


def _refuse_role(ctx: Context, role: str, function_arn: str) -> None:
    """Raises InvalidParameterValue unless Lambda may assume the role. Source: recorded on AWS (the sentence)."""
    try:
        ctx.act(
            "sts", "AssumeRole", source_arn=function_arn, RoleArn=role, RoleSessionName="lambda", DurationSeconds=900
        )
    except ServiceError:
        raise InvalidParameterValue("The role defined for the function cannot be assumed by Lambda.") from None


def _refuse_runtime(ctx: Context, runtime: str) -> None:
    """Raises InvalidParameterValue unless its functions run here. Source: recorded on AWS (the first sentence)."""
    try:
        ctx.functions.refuse(runtime)
    except NotRun as refusal:
        served = ", ".join(each for each in RUNTIMES if _is_served(ctx, each))
        raise InvalidParameterValue(
            f"Value {runtime} at 'runtime' failed to satisfy constraint: Member must satisfy enum value set: [{served}] "
            f"or be a valid ARN. {refusal}"
        ) from None


def _is_served(ctx: Context, runtime: str) -> bool:
    try:
        ctx.functions.refuse(runtime)
    except NotRun:
        return False
    return True


def _is_qualified(ctx: Context, request: Params) -> bool:
    return bool(lookup.locate(ctx, request).at.qualifier)
