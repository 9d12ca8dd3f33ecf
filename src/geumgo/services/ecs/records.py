"""What ECS keeps: clusters, services, the names under which a service is spoken to by TLS, who signs. Times are Unix milliseconds."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from geumgo.context import Place


@dataclass(frozen=True, slots=True)
class Cluster:
    partition: str
    account: str
    region: str
    name: str
    kept: Mapping[str, Any]
    tags: Mapping[str, str]
    created_at_ms: int

    @property
    def arn(self) -> str:
        return Place(self.account, self.region, self.partition).arn("ecs", f"cluster/{self.name}")


@dataclass(frozen=True, slots=True)
class Service:
    """`is_leaving`: it is deleted, and goes when its secrets have gone."""

    partition: str
    account: str
    region: str
    cluster: str
    name: str
    id: str
    kept: Mapping[str, Any]
    tags: Mapping[str, str]
    created_at_ms: int
    updated_at_ms: int
    is_leaving: bool = False

    @property
    def place(self) -> Place:
        return Place(self.account, self.region, self.partition)

    @property
    def arn(self) -> str:
        return self.place.arn("ecs", f"service/{self.cluster}/{self.name}")

    @property
    def cluster_arn(self) -> str:
        return self.place.arn("ecs", f"cluster/{self.cluster}")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """`secret_arn` is empty until the secret is made. `message` says why it waits."""

    id: str
    partition: str
    account: str
    region: str
    cluster: str
    service: str
    port: str
    names: tuple[str, ...]
    authority: str
    role: str
    kms_key: str
    created_at_ms: int
    secret_arn: str = ""
    is_leaving: bool = False
    message: str = ""

    @property
    def place(self) -> Place:
        return Place(self.account, self.region, self.partition)

    @property
    def service_arn(self) -> str:
        return self.place.arn("ecs", f"service/{self.cluster}/{self.service}")

    @property
    def secret_name(self) -> str:
        """Unverified: what stands behind the exclamation mark."""
        return f"ecs-sc!{self.id}"


@dataclass(frozen=True, slots=True)
class Authority:
    """Who signs. `private_key` is sealed."""

    arn: str
    certificate: str
    private_key: bytes = field(repr=False)
    created_at_ms: int
