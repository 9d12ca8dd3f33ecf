"""What the room keeps, as frozen values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from geumgo.context import Place


@dataclass(frozen=True, slots=True)
class Trail:
    """A trail. `id` is new with each CreateTrail. Times are Unix milliseconds; 0: never."""

    place: Place
    name: str
    id: str
    bucket: str
    prefix: str = ""
    global_events: bool = True
    multi_region: bool = False
    validates: bool = False
    logging: bool = False
    started_at_ms: int = 0
    stopped_at_ms: int = 0
    selectors: Sequence[Mapping[str, Any]] | None = None
    advanced: Sequence[Mapping[str, Any]] | None = None
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def arn(self) -> str:
        return self.place.arn("cloudtrail", f"trail/{self.name}")


@dataclass(frozen=True, slots=True)
class Status:
    """How deliveries of a trail went. Times are Unix milliseconds."""

    delivered_at_ms: int | None = None
    attempted_at_ms: int | None = None
    delivery_error: str | None = None
    digested_at_ms: int | None = None
    digest_error: str | None = None


@dataclass(frozen=True, slots=True)
class LogFile:
    """A log file: decided, and if it has a `hash` (of its content, unpacked) delivered. Times are Unix seconds."""

    id: str
    bucket: str
    object: str
    hash: str | None = None
    oldest_at_s: int | None = None
    newest_at_s: int | None = None


@dataclass(frozen=True, slots=True)
class Digest:
    """A digest file: decided, and if it has a `signature` delivered. Times are Unix seconds."""

    id: str
    started_at_s: int
    ended_at_s: int
    bucket: str
    object: str
    fingerprint: str
    hash: str | None = None
    signature: str | None = None


@dataclass(frozen=True, slots=True)
class SigningKey:
    """What digest files are signed with while it is valid (Unix milliseconds). `public` is DER, PKCS #1."""

    fingerprint: str
    public: bytes
    sealed: bytes
    valid_from_ms: int
    valid_until_ms: int
