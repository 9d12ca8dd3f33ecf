"""What may be a target of a rule, and what is said of it. Pure."""

import re
from collections.abc import Mapping
from typing import Any, Final, Literal
from urllib.parse import quote

from geumgo.domain.arn import Arn, split_arn
from geumgo.domain.input_template import InputTransformer, InvalidInput, read_path

Kind = Literal["lambda", "bus", "api", "log", "automation"]

MOST_TARGETS: Final = 5  # of a rule. Source: "EventBridge quotas", user guide

DEFAULT_ATTEMPTS: Final = 185  # retries. Source: RetryPolicy, API reference
DEFAULT_AGE_S: Final = 86_400

_FUNCTION: Final = re.compile(r"function:[A-Za-z0-9_-]{1,64}(:(\$LATEST|[A-Za-z0-9_-]{1,128}))?")
_AUTOMATION: Final = re.compile(r"automation-definition/[a-zA-Z0-9_.-]{3,128}(:(\$DEFAULT|\$LATEST|[1-9][0-9]*))?")
_LOG_GROUP: Final = re.compile(r"log-group:([.\-_/#A-Za-z0-9]{1,512})(:\*)?")
_LONGEST_FILE: Final = 200  # characters of a file's name
_INPUTS: Final = ("Input", "InputPath", "InputTransformer")
_OTHERS: Final = (
    "RunCommandParameters", "EcsParameters", "BatchParameters", "KinesisParameters", "SqsParameters", "RedshiftDataParameters",
    "SageMakerPipelineParameters", "AppSyncParameters",
)  # fmt: skip


class InvalidTarget(Exception):
    """The target cannot be one. The message is for the caller."""


def kind_of(arn: Arn) -> Kind | None:
    """What an ARN names, as far as it can be a target here."""
    if arn.service == "lambda" and _FUNCTION.fullmatch(arn.resource):
        return "lambda"
    if arn.service == "events" and arn.resource_type == "event-bus" and arn.resource_id:
        return "bus"
    if arn.service == "events" and arn.resource_type == "api-destination" and arn.resource_id.count("/") == 1:
        return "api"
    if arn.service == "ssm" and _AUTOMATION.fullmatch(arn.resource):
        return "automation"
    if arn.service == "logs" and log_group(arn) is not None:
        return "log"
    return None


def log_group(arn: Arn) -> str | None:
    """The name of the log group that the ARN names, None if it names none that has a file here."""
    found = _LOG_GROUP.fullmatch(arn.resource)
    if found is None or len(file_name(found[1])) > _LONGEST_FILE:
        return None
    return found[1]


def file_name(group: str) -> str:
    """The name of a log group's file: one name for each group, and none that leads out of its directory."""
    return quote(group, safe="").replace(".", "%2E") + ".jsonl"


def read_target(given: Mapping[str, Any], *, account: str, region: str) -> None:
    """Nothing, if the target can be one.

    Raises InvalidTarget.

    Source: Target, API reference. Unverified: the messages. Targets of kinds that are not served here are refused, not kept.
    """
    name = given["Id"]
    arn = split_arn(given["Arn"])
    if arn is None:
        raise InvalidTarget(f"Parameter {given['Arn']} is not valid. Reason: Provided Arn is not in correct format.")
    kind = kind_of(arn)
    if kind is None:
        raise InvalidTarget(f"Target {name} is not of a kind that is served here: {given['Arn']}")
    if arn.region != region:
        raise InvalidTarget(f"Target {name} is in another Region: {given['Arn']}")
    if arn.account != account and kind != "bus":
        raise InvalidTarget(f"Target {name} is in another account: {given['Arn']}")
    if others := [member for member in _OTHERS if member in given]:
        raise InvalidTarget(f"{others[0]} is not supported for target {name}.")
    if "HttpParameters" in given and kind != "api":
        raise InvalidTarget(f"HttpParameters is not supported for target {name}.")
    if kind == "bus" and (made := [member for member in _INPUTS if member in given]):
        raise InvalidTarget(f"{made[0]} is not supported for target {name}: an event bus is sent the event itself.")
    if kind in ("api", "automation") and "RoleArn" not in given:
        raise InvalidTarget(f"RoleArn is required for target {given['Arn']}.")
    _read_input(given)
    if "DeadLetterConfig" in given:
        read_dead_letter(given["DeadLetterConfig"], account=account, region=region)


def read_dead_letter(config: Mapping[str, Any], *, account: str, region: str) -> None:
    """Raises InvalidTarget unless what could not be delivered can be kept there: in a log group of the same account and Region."""
    text = config.get("Arn", "")
    arn = split_arn(text)
    if arn is None or kind_of(arn) != "log" or (arn.account, arn.region) != (account, region):
        raise InvalidTarget(
            f"Parameter DeadLetterConfig is not valid. Reason: {text} is not a log group of this account and Region."
        )


def _read_input(given: Mapping[str, Any]) -> None:
    name = given["Id"]
    chosen = [member for member in _INPUTS if member in given]
    if len(chosen) > 1:
        raise InvalidTarget(f"Only one of Input, InputPath, or InputTransformer must be provided for target {name}.")
    try:
        if given.get("InputPath"):
            read_path(given["InputPath"])
        if "InputTransformer" in given:
            transformer(given["InputTransformer"])
    except InvalidInput as refusal:
        raise InvalidTarget(f"Invalid input for target {name}. Reason: {refusal}") from None


def transformer(given: Mapping[str, Any]) -> InputTransformer:
    """Raises InvalidInput."""
    return InputTransformer(given.get("InputPathsMap", {}), given["InputTemplate"])


def attempts_of(given: Mapping[str, Any]) -> int:
    """How often a delivery is tried again after its first failure."""
    return int(given.get("RetryPolicy", {}).get("MaximumRetryAttempts", DEFAULT_ATTEMPTS))


def age_ms_of(given: Mapping[str, Any]) -> int:
    """How long after its event a delivery may be tried."""
    return int(given.get("RetryPolicy", {}).get("MaximumEventAgeInSeconds", DEFAULT_AGE_S)) * 1000
