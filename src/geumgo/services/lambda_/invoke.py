"""Invoke: a function runs, and what it answers is the answer."""

from base64 import b64encode
from typing import Final

from geumgo.context import Context, Later, Params
from geumgo.errors import ServiceError
from geumgo.functions import Busy, NotRun, Task
from geumgo.room import operation
from geumgo.services.lambda_ import domain, lookup, store
from geumgo.services.lambda_.errors import InvalidParameterValue, ServiceFailed, TooManyRequests
from geumgo.services.lambda_.functions import environment
from geumgo.services.lambda_.records import Function, Version

TAIL: Final = 4_096  # bytes of the log; source: Invoke, API reference (LogResult)
SESSION_S: Final = 900  # the shortest that STS gives
SPARE_S: Final = 60  # how much longer than the function its credentials live


@operation
def invoke(ctx: Context, request: Params) -> Params | Later:
    """The function runs once and its answer is awaited (RequestResponse), or nothing but the permission is checked (DryRun).

    Raises:
        ResourceNotFound: there is no such function.
        InvalidRequestContent: the payload is not JSON.
        InvalidParameterValue: the role is none that Lambda may assume.
        TooManyRequests: its reserved concurrency is 0, or too many functions run.
        ServiceFailed: functions do not run on this machine; the message says why.

    Source: Invoke, API reference.
    """
    function, version = lookup.get_version(ctx, request)
    kind = request.get("InvocationType", "RequestResponse")
    event = domain.read_event(request.get("Payload", b""))
    context = domain.read_client_context(request.get("ClientContext", ""))
    if kind == "Event" or "DurableExecutionName" in request or "TenantId" in request:
        raise InvalidParameterValue("Functions are invoked and waited for here (InvocationType RequestResponse).")
    if kind == "DryRun":
        return {"StatusCode": 204, "ExecutedVersion": version.name}
    if function.concurrency == 0:
        raise TooManyRequests("Rate Exceeded.", Reason="ReservedFunctionConcurrentInvocationLimitExceeded")
    task = _task(ctx, function, version, lookup.locate(ctx, request).arn, event, context)
    with_log = request.get("LogType", "None") == "Tail"
    functions = ctx.functions

    def fetch() -> Params:
        try:
            outcome = functions.run(task)
        except Busy as refusal:
            raise TooManyRequests(str(refusal), Reason="ConcurrentInvocationLimitExceeded") from None
        except NotRun as refusal:
            raise ServiceFailed(str(refusal)) from None
        answer: Params = {"StatusCode": 200, "ExecutedVersion": version.name, "Payload": outcome.payload}
        if outcome.failed:
            answer["FunctionError"] = "Unhandled"
        if with_log:
            answer["LogResult"] = b64encode(outcome.log[-TAIL:]).decode()
        return answer

    return Later(fetch)


def _task(ctx: Context, function: Function, version: Version, arn: str, event: bytes, client_context: str) -> Task:
    """What the host needs. The credentials are those of the execution role, in a session of this function."""
    try:
        made = ctx.act(
            "sts",
            "AssumeRole",
            source_arn=function.arn,
            RoleArn=version.role,
            RoleSessionName=function.name,
            DurationSeconds=max(SESSION_S, version.timeout_s + SPARE_S),
        )["Credentials"]
    except ServiceError:
        raise InvalidParameterValue("The role defined for the function cannot be assumed by Lambda.") from None
    return Task(
        request_id=ctx.request_id,
        function_arn=arn,
        name=function.name,
        version=version.name,
        handler=version.handler,
        region=function.region,
        memory_mb=version.memory_mb,
        timeout_s=version.timeout_s,
        storage_mb=version.storage_mb,
        code=store.code(ctx.tx, ctx.sealing, function, version.code_sha256),
        environment=environment(ctx, function, version),
        credentials={
            "AWS_ACCESS_KEY_ID": made["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": made["SecretAccessKey"],
            "AWS_SESSION_TOKEN": made["SessionToken"],
        },
        event=event,
        client_context=client_context,
    )
