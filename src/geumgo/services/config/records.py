"""What is kept of recorders, rules and verdicts."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

SECRET: Final = "AWS::SecretsManager::Secret"  # noqa: S105 - a type of resource
PARAMETER: Final = "AWS::SSM::Parameter"
PACKS: Final = "config-conforms.amazonaws.com"
"""Who creates the rules of a conformance pack."""


@dataclass(frozen=True, slots=True)
class Recorder:
    """The configuration recorder of a place: as whom Config reads there, and what it records. Times are Unix milliseconds.

    `settings` holds recordingGroup and, if it was given, recordingMode.
    """

    account: str
    region: str
    partition: str
    id: str
    name: str
    role_arn: str
    settings: Mapping[str, Any]
    tags: Mapping[str, str] = field(default_factory=dict)
    recording: bool = False
    last_start_at_ms: int | None = None
    last_stop_at_ms: int | None = None
    revision: int = 1

    @property
    def arn(self) -> str:
        at = f"arn:{self.partition}:config:{self.region}:{self.account}"
        return f"{at}:configuration-recorder/{self.name}/{self.id}"


@dataclass(frozen=True, slots=True)
class RecorderStatus:
    """How the last look at the recorder's resources went. `error_code` is empty if it went well."""

    status: str
    changed_at_ms: int
    error_code: str = ""
    error_message: str = ""


@dataclass(frozen=True, slots=True)
class Rule:
    """A Config rule. `definition` holds the members of ConfigRule that were given, without its name, ARN and id."""

    id: str
    account: str
    region: str
    partition: str
    name: str
    definition: Mapping[str, Any]
    created_at_ms: int
    tags: Mapping[str, str] = field(default_factory=dict)
    revision: int = 1

    @property
    def arn(self) -> str:
        return f"arn:{self.partition}:config:{self.region}:{self.account}:config-rule/{self.id}"

    @property
    def owner(self) -> str:
        """AWS or CUSTOM_LAMBDA."""
        owner: str = self.definition["Source"]["Owner"]
        return owner

    @property
    def source(self) -> str:
        """The identifier of the managed rule, or the ARN of the function."""
        source: str = self.definition["Source"]["SourceIdentifier"]
        return source


@dataclass(frozen=True, slots=True)
class RuleStatus:
    """How the evaluations of a rule went. `succeeded_at_ms` and `recorded_at_ms` are of the last one of everything that ended well."""

    activated_at_ms: int
    asked_at_ms: int | None = None
    succeeded_at_ms: int | None = None
    recorded_at_ms: int | None = None
    failed_at_ms: int | None = None
    error_code: str = ""
    error_message: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a rule thinks of a resource. `annotation` and `memo` are empty if there is nothing to say, or to remember."""

    compliance: str
    annotation: str = ""
    memo: str = ""


@dataclass(frozen=True, slots=True)
class Kept:
    """A verdict as it is kept. Times are Unix milliseconds: see the table."""

    rule_id: str
    resource_type: str
    resource_id: str
    verdict: Verdict
    ordered_at_ms: int
    invoked_at_ms: int
    recorded_at_ms: int
