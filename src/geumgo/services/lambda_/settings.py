"""What is set beside the code of a function: its tags, and how many of it may run."""

from dataclasses import replace

from geumgo.context import Context, Params
from geumgo.room import operation, reads
from geumgo.services.lambda_ import domain, lookup, store


@operation
def put_function_concurrency(ctx: Context, request: Params) -> Params:
    """At most so many invocations of the function run at a time, on all servers of the database together; with 0 none.

    Source: PutFunctionConcurrency, API reference. Nothing is set aside for it: other functions may use up what a process runs at a time.
    """
    function = lookup.get(ctx, request)
    wanted = request["ReservedConcurrentExecutions"]
    store.save(ctx.tx, ctx.sealing, replace(function, concurrency=wanted))
    return {"ReservedConcurrentExecutions": wanted}


@reads
def get_function_concurrency(ctx: Context, request: Params) -> Params:
    concurrency = lookup.get(ctx, request).concurrency
    return {} if concurrency is None else {"ReservedConcurrentExecutions": concurrency}


@operation
def delete_function_concurrency(ctx: Context, request: Params) -> Params:
    store.save(ctx.tx, ctx.sealing, replace(lookup.get(ctx, request), concurrency=None))
    return {}


@reads
def get_function_code_signing_config(ctx: Context, request: Params) -> Params:
    """No function has one: code signing is not available. Terraform asks for each function. Unverified: that AWS leaves the ARN out."""
    return {"FunctionName": lookup.get(ctx, request).name}


@operation
def tag_resource(ctx: Context, request: Params) -> Params:
    """Raises InvalidParameterValue, ResourceNotFound."""
    function = lookup.get(ctx, lookup.by_arn(request))
    tags = {**function.tags, **request["Tags"]}
    domain.refuse_tags(tags)
    store.save(ctx.tx, ctx.sealing, replace(function, tags=tags))
    return {}


@operation
def untag_resource(ctx: Context, request: Params) -> Params:
    function = lookup.get(ctx, lookup.by_arn(request))
    tags = {key: value for key, value in function.tags.items() if key not in request["TagKeys"]}
    store.save(ctx.tx, ctx.sealing, replace(function, tags=tags))
    return {}


@reads
def list_tags(ctx: Context, request: Params) -> Params:
    return {"Tags": dict(lookup.get(ctx, lookup.by_arn(request)).tags)}
