"""What EventBridge keeps."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from geumgo.context import Place

DEFAULT_BUS: Final = "default"

ENABLED: Final = "ENABLED"
DISABLED: Final = "DISABLED"
ENABLED_WITH_READS: Final = "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS"


@dataclass(frozen=True, slots=True)
class Bus:
    """An event bus. `policy` is its resource policy as it is kept, principals by unique id."""

    place: Place
    name: str
    description: str | None = None
    policy: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    created_at_ms: int = 0
    changed_at_ms: int = 0

    @property
    def arn(self) -> str:
        return self.place.arn("events", f"event-bus/{self.name}")


@dataclass(frozen=True, slots=True)
class Rule:
    """What is listened for on a bus: a pattern, a schedule (on the default bus), or both."""

    place: Place
    bus: str
    name: str
    pattern: str | None
    schedule: str | None
    state: str
    description: str | None = None
    role_arn: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    created_by: str = ""
    scheduled_at_ms: int = 0

    @property
    def arn(self) -> str:
        within = "" if self.bus == DEFAULT_BUS else f"{self.bus}/"
        return self.place.arn("events", f"rule/{within}{self.name}")


@dataclass(frozen=True, slots=True)
class Listener:
    """A target of a rule. `document` has the members of Target, as PutTargets was given them."""

    id: str
    arn: str
    document: Mapping[str, Any]

    @property
    def role_arn(self) -> str:
        """The role that is assumed for it; empty: none."""
        role: str = self.document.get("RoleArn", "")
        return role


@dataclass(frozen=True, slots=True)
class Delivery:
    """An event on its way to one target. `attempts` that failed so far; `hops`: buses that it was forwarded from."""

    id: str
    place: Place
    bus: str
    rule: str
    target: str
    event: Mapping[str, Any]
    hops: int
    attempts: int
    ingested_at_ms: int


AUTHORIZED: Final = "AUTHORIZED"
AUTHORIZING: Final = "AUTHORIZING"
DEAUTHORIZED: Final = "DEAUTHORIZED"


@dataclass(frozen=True, slots=True)
class Connection:
    """How a webhook knows us. `parameters` are its AuthParameters without what is secret; the rest lies in the secret `secret_arn`."""

    place: Place
    name: str
    suffix: str
    description: str | None
    kind: str
    state: str
    state_reason: str | None
    secret_arn: str | None
    kms_key_id: str | None
    parameters: Mapping[str, Any]
    created_at_ms: int
    changed_at_ms: int
    authorized_at_ms: int | None

    @property
    def arn(self) -> str:
        return self.place.arn("events", f"connection/{self.name}/{self.suffix}")


@dataclass(frozen=True, slots=True)
class ApiDestination:
    """An HTTP endpoint that events are sent to, `per_second` of them at most."""

    place: Place
    name: str
    suffix: str
    description: str | None
    connection_arn: str
    endpoint: str
    method: str
    per_second: int | None
    created_at_ms: int
    changed_at_ms: int

    @property
    def arn(self) -> str:
        return self.place.arn("events", f"api-destination/{self.name}/{self.suffix}")


@dataclass(frozen=True, slots=True)
class Archive:
    """What of a bus is kept, and for how many days (0: for ever)."""

    place: Place
    name: str
    bus: str
    description: str | None
    pattern: str | None
    retention_days: int
    created_at_ms: int

    @property
    def arn(self) -> str:
        return self.place.arn("events", f"archive/{self.name}")

    @property
    def bus_arn(self) -> str:
        return self.place.arn("events", f"event-bus/{self.bus}")


STARTING: Final = "STARTING"
RUNNING: Final = "RUNNING"
CANCELLING: Final = "CANCELLING"
CANCELLED: Final = "CANCELLED"
COMPLETED: Final = "COMPLETED"


@dataclass(frozen=True, slots=True)
class Replay:
    """Events of an archive that are told again. `only_rules` are the rules that hear them; None: every rule of the bus."""

    place: Place
    name: str
    archive: str
    bus: str
    description: str | None
    only_rules: tuple[str, ...] | None
    from_ms: int
    to_ms: int
    state: str
    told_at_ms: int | None
    told_id: str | None
    started_at_ms: int
    ended_at_ms: int | None

    @property
    def arn(self) -> str:
        return self.place.arn("events", f"replay/{self.name}")

    @property
    def ended(self) -> bool:
        return self.ended_at_ms is not None
