"""Automation: StartAutomationExecution, GetAutomationExecution, DescribeAutomationExecutions, and the job that executes.

The documents are those of `domain.automation`, each with one version. What they do, they do as the role in AutomationAssumeRole.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from geumgo.context import Context, Params, Work, as_datetime
from geumgo.domain.automation import DOCUMENTS, ROLE, ParametersUnfit, plain_parameters, walk
from geumgo.jobs import promise
from geumgo.paging import NotOurs, make_token, read_token
from geumgo.room import job, operation, reads
from geumgo.sealing import random
from geumgo.services.ssm import store_automation
from geumgo.services.ssm.errors import (
    AutomationDefinitionNotFound,
    AutomationDefinitionVersionNotFound,
    AutomationExecutionNotFound,
    IdempotentParameterMismatch,
    InvalidAutomationExecutionParameters,
    InvalidFilterKey,
    InvalidFilterValue,
    InvalidNextToken,
    ValidationFailed,
)
from geumgo.services.ssm.store_automation import Execution

EXECUTE: Final = "ssm.execute_automation"
VERSIONS: Final = frozenset({"1", "$DEFAULT", "$LATEST"})
KEPT_MS: Final = 30 * 86_400_000
"""How long an execution that has ended can be looked at. Source: "AWS Systems Manager endpoints and quotas" (30 days)."""
_PAGE: Final = 50
_UNSERVED: Final = (
    *("TargetParameterName", "Targets", "TargetMaps", "MaxConcurrency", "MaxErrors", "TargetLocations"),
    *("Tags", "AlarmConfiguration", "TargetLocationsURL"),
)
_STEP: Final[Mapping[str, str]] = {"SUCCEEDED": "Success", "FAILED": "Failed"}


@operation
def start_automation_execution(ctx: Context, params: Params) -> Params:
    """The execution is kept, and begins. The same token begins it once. Source: StartAutomationExecution, API reference.

    Unverified: the messages.
    """
    name = name_of(params["DocumentName"])
    if name not in DOCUMENTS:
        raise AutomationDefinitionNotFound(
            f"The document {name} is not served here. There are: {', '.join(sorted(DOCUMENTS))}."
        )
    if params.get("DocumentVersion", "$DEFAULT") not in VERSIONS:
        raise AutomationDefinitionVersionNotFound(f"The document {name} has no version {params['DocumentVersion']}.")
    for member in _UNSERVED:
        if params.get(member):
            raise ValidationFailed(f"{member} is not served here: an execution does its document once.")
    if params.get("Mode", "Auto") != "Auto":
        raise ValidationFailed("Only executions of the mode Auto are served here.")
    given: Mapping[str, Sequence[str]] = params.get("Parameters", {})
    try:
        plain_parameters(name, given)
    except ParametersUnfit as refusal:
        raise InvalidAutomationExecutionParameters(str(refusal)) from None
    token: str | None = params.get("ClientToken")
    there = None if token is None else store_automation.by_token(ctx.tx, ctx.sealing, ctx.place, token)
    if there is not None:
        if (there.document, dict(there.parameters)) != (name, {key: list(values) for key, values in given.items()}):
            raise IdempotentParameterMismatch("The client token was used for an execution with other parameters.")
        return {"AutomationExecutionId": there.id}
    now_ms = ctx.clock.now_ms()
    made = Execution(random.uuid(), ctx.place, name, given, ctx.caller.arn or ctx.caller.name, token, now_ms)
    store_automation.add(ctx.tx, ctx.sealing, made)
    promise(ctx.tx, EXECUTE, ctx.place, {"id": made.id}, run_at_ms=now_ms, lock=f"{EXECUTE}:{made.id}")
    return {"AutomationExecutionId": made.id}


def name_of(document: str) -> str:
    """The name of a document that may be given as an ARN: `arn:aws:ssm:...:automation-definition/NAME:VERSION`, or `document/NAME`."""
    if not document.startswith("arn:"):
        return document
    return document.partition("/")[2].partition(":")[0]


@job(EXECUTE)
def execute(work: Work, payload: Params) -> None:
    """Every step was done, or one was refused. After a crash the steps are done again: each of them may be repeated."""
    with work.writing() as tx:
        execution = store_automation.find(tx, work.sealing, work.place, payload["id"])
        if execution is not None:
            store_automation.went(tx, execution.id, "InProgress", (), None)
    if execution is None:
        with work.finishing():
            return
    values = plain_parameters(execution.document, execution.parameters)
    source = work.place.arn("ssm", f"automation-execution/{execution.id}")

    def call(service: str, name: str, inputs: Mapping[str, Any]) -> Params:
        return work.call(service, name, source_arn=source, role_arn=values[ROLE], **inputs)

    steps = walk(execution.document, values, call, work.clock.now_ms)
    failed = any(step["State"] == "FAILED" for step in steps)
    with work.finishing() as tx:
        now_ms = work.clock.now_ms()
        store_automation.went(tx, execution.id, "Failed" if failed else "Success", steps, now_ms)
        store_automation.prune(tx, work.place, now_ms - KEPT_MS)


# -- what is told of them ---------------------------------------------------------------------------------------------


@reads
def get_automation_execution(ctx: Context, params: Params) -> Params:
    """Source: GetAutomationExecution, API reference."""
    execution = store_automation.find(ctx.tx, ctx.sealing, ctx.place, params["AutomationExecutionId"])
    if execution is None:
        raise AutomationExecutionNotFound("There is no automation execution of that id.")
    answer = {
        **_told(execution),
        "StepExecutions": [_step(execution, step) for step in execution.steps],
        "StepExecutionsTruncated": False,
        "Parameters": {name: list(values) for name, values in execution.parameters.items()},
        "Outputs": {},
    }
    return {"AutomationExecution": answer}


@reads
def describe_automation_executions(ctx: Context, params: Params) -> Params:
    """The newest first. Source: DescribeAutomationExecutions, API reference. Unverified: the messages."""
    chosen = _filters(params.get("Filters", []))
    limit = params.get("MaxResults", _PAGE)
    asked = {"filters": sorted(chosen.items())}
    try:
        position = read_token(ctx, "ssm", "DescribeAutomationExecutions", asked, params.get("NextToken"))
    except NotOurs:
        raise InvalidNextToken from None
    before = None if position is None else (int(position[0]), str(position[1]))
    found = store_automation.newest(ctx.tx, ctx.sealing, ctx.place, before=before, limit=limit + 1, **chosen)
    listed = [{**_told(each), "AutomationType": "Local"} for each in found[:limit]]
    answer: Params = {"AutomationExecutionMetadataList": listed}
    if len(found) > limit:
        last = (found[limit - 1].started_at_ms, found[limit - 1].id)
        answer["NextToken"] = make_token(ctx, "ssm", "DescribeAutomationExecutions", asked, last)
    return answer


def _filters(filters: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Raises InvalidFilterKey, InvalidFilterValue."""
    members = {"DocumentNamePrefix": "document", "ExecutionStatus": "status", "ExecutionId": "execution_id"}
    chosen: dict[str, Any] = {}
    for each in filters:
        if each["Key"] not in members:
            raise InvalidFilterKey(f"The filter {each['Key']} is not served here.")
        if len(each["Values"]) != 1 or members[each["Key"]] in chosen:
            raise InvalidFilterValue(f"The filter {each['Key']} takes one value, once.")
        chosen[members[each["Key"]]] = each["Values"][0]
    return chosen


def _told(execution: Execution) -> dict[str, Any]:
    told: dict[str, Any] = {
        "AutomationExecutionId": execution.id,
        "DocumentName": execution.document,
        "DocumentVersion": "1",
        "AutomationExecutionStatus": execution.status,
        "ExecutionStartTime": as_datetime(execution.started_at_ms),
        "ExecutedBy": execution.executed_by,
        "Mode": "Auto",
    }
    if execution.ended_at_ms is not None:
        told["ExecutionEndTime"] = as_datetime(execution.ended_at_ms)
    failed = next((step for step in execution.steps if step["State"] == "FAILED"), None)
    if failed is not None:
        told["FailureMessage"] = f"Step {failed['Name']} failed: {failed['ErrorMessage']}"
    return told


def _step(execution: Execution, step: Mapping[str, Any]) -> dict[str, Any]:
    began_ms, ended_ms = step["at"]
    told: dict[str, Any] = {
        "StepName": step["Name"],
        "Action": "aws:executeAwsApi",
        "ExecutionStartTime": as_datetime(began_ms),
        "ExecutionEndTime": as_datetime(ended_ms),
        "StepStatus": _STEP[step["State"]],
        "IsEnd": step["Name"] == DOCUMENTS[execution.document].steps[-1].name,
    }
    if "ErrorMessage" in step:
        told["FailureMessage"] = step["ErrorMessage"]
    return told
