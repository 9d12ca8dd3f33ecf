"""What is kept of functions."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

LATEST: Final = "$LATEST"

Statement = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Function:
    """A function. `policies` are the statements of its resource policies by qualifier, "" for the function itself."""

    id: str
    partition: str
    account: str
    region: str
    name: str
    next_version: int = 1
    policies: Mapping[str, tuple[Statement, ...]] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    concurrency: int | None = None
    revision: int = 0

    @property
    def arn(self) -> str:
        return f"arn:{self.partition}:lambda:{self.region}:{self.account}:function:{self.name}"


@dataclass(frozen=True, slots=True)
class Version:
    """What runs: `number` 0 is $LATEST, which alone changes. `environment` is sealed; None: there are no variables."""

    function_id: str
    number: int
    role: str
    handler: str
    runtime: str
    description: str
    timeout_s: int
    memory_mb: int
    storage_mb: int
    architecture: str
    code_sha256: str  # hexadecimal
    code_size: int
    modified_at_ms: int
    revision_id: str
    environment: bytes | None = field(default=None, repr=False)
    kms_key: str = ""  # as it was given; empty: the server's own keys protect the environment
    wrapped_key: str = ""  # base64: the data key of the environment, if there is a KMS key
    layers: tuple[str, ...] = ()  # ARNs of versions, in the order in which they are unpacked

    @property
    def name(self) -> str:
        return str(self.number) if self.number else LATEST


@dataclass(frozen=True, slots=True)
class Alias:
    """A name for a version."""

    function_id: str
    name: str
    number: int
    description: str
    revision_id: str
