"""Invoke: a function runs, and what it answers is the answer; or it will run, and nobody waits."""

from base64 import b64encode
from typing import Final

from geumgo.context import Context, Later, Params
from geumgo.errors import ServiceError, TooLarge
from geumgo.functions import Busy, NotRun, Task
from geumgo.room import operation
from geumgo.services.lambda_ import domain, lookup, queue, running
from geumgo.services.lambda_.errors import (
    InvalidParameterValue,
    ServiceFailed,
    TooManyRequests,
    kms_refused,
)
from geumgo.services.lambda_.records import Function, Version

TAIL: Final = 4_096  # bytes of the log; source: Invoke, API reference (LogResult)


@operation
def invoke(ctx: Context, request: Params) -> Params | Later:
    """The function runs once and its answer is awaited (RequestResponse), or it runs later (Event), or nothing runs (DryRun).

    Raises:
        ResourceNotFound: there is no such function.
        InvalidRequestContent: the payload is not JSON.
        InvalidParameterValue: the role is none that Lambda may assume.
        TooLarge: an event of more than 1 MB that nobody waits for; the code is the one that AWS gives, not that of its model.
        TooManyRequests: its reserved concurrency is used up, or too many functions run.
        ServiceFailed: functions do not run on this machine; the message says why.

    Source: Invoke, API reference.
    """
    function, version = lookup.get_version(ctx, request)
    kind = request.get("InvocationType", "RequestResponse")
    event = domain.read_event(request.get("Payload", b""))
    context = domain.read_client_context(request.get("ClientContext", ""))
    if "DurableExecutionName" in request or "TenantId" in request:
        raise InvalidParameterValue("Durable executions and tenants are not available here.")
    if kind == "DryRun":
        return {"StatusCode": 204, "ExecutedVersion": version.name}
    qualifier = lookup.locate(ctx, request).at.qualifier
    if kind == "Event":
        if len(event) > domain.MOST_QUEUED:
            raise TooLarge(
                f"{len(event)} byte payload is too large for the Event invocation type (limit {domain.MOST_QUEUED} bytes)"
            )
        queue.enqueue(ctx, function, qualifier, event, context)
        return {"StatusCode": 202}
    if function.concurrency == 0:
        raise TooManyRequests("Rate Exceeded.", Reason="ReservedFunctionConcurrentInvocationLimitExceeded")
    task = _task(ctx, function, version, qualifier, event, context)
    with_log = request.get("LogType", "None") == "Tail"
    functions = ctx.functions

    def fetch() -> Params:
        try:
            outcome = functions.run(task)
        except Busy as refusal:
            raise TooManyRequests(str(refusal), Reason=refusal.reason) from None
        except NotRun as refusal:
            raise ServiceFailed(str(refusal)) from None
        answer: Params = {"StatusCode": 200, "ExecutedVersion": version.name, "Payload": outcome.payload}
        if outcome.failed:
            answer["FunctionError"] = "Unhandled"
        if with_log:
            answer["LogResult"] = b64encode(outcome.log[-TAIL:]).decode()
        return answer

    return Later(fetch)


def _task(
    ctx: Context, function: Function, version: Version, qualifier: str, event: bytes, client_context: str
) -> Task:
    """What the host is handed. Raises InvalidParameterValue for the role, and what KMS refuses."""
    try:
        made = ctx.act("sts", "AssumeRole", source_arn=function.arn, **running.session_of(function, version))
    except ServiceError:
        raise InvalidParameterValue("The role defined for the function cannot be assumed by Lambda.") from None
    try:
        return running.task_of(
            ctx.tx, ctx.sealing, function, version, qualifier=qualifier, request_id=ctx.request_id, event=event,
            client_context=client_context, credentials=made["Credentials"],
            ask=lambda asked: ctx.act("kms", "Decrypt", source_arn=function.arn, **asked),
        )  # fmt: skip
    except ServiceError as refusal:
        raise kms_refused(refusal) from None
