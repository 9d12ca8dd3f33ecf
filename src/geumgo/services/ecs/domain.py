"""The rules of ECS as far as it is served: names, and what Service Connect may say. Pure."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

VALID_DAYS: Final = 7
ROTATION_DAYS: Final = 5
"""How long a certificate is valid, and how old it is when it is renewed. Source: "Encrypt Amazon ECS Service Connect traffic"."""
TEMPLATE: Final = "arn:aws:acm-pca:::template/EndEntityCertificate/V1"
"""Source: AmazonECSInfrastructureRolePolicyForServiceConnectTransportLayerSecurity."""
MANAGED_TAG: Final = "AmazonECSManaged"
CREATED_TAG: Final = "AmazonECSCreated"
DEFAULT_CLUSTER: Final = "default"

_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,255}")
_DNS: Final = re.compile(r"(?=.{1,253}\Z)[A-Za-z0-9_]([A-Za-z0-9_-]{0,62})(\.[A-Za-z0-9_]([A-Za-z0-9_-]{0,62}))*")
_DISCOVERY: Final = re.compile(r"[a-z0-9_][a-z0-9_-]{0,63}")


class BadValue(ValueError):
    """A parameter that cannot be used. The message is a sentence for the caller."""


class Wanted(NamedTuple):
    """What one entry of serviceConnectConfiguration.services asks for that has TLS. `kms_key` is empty for the default key."""

    port: str
    names: tuple[str, ...]
    authority: str
    role: str
    kms_key: str


def is_name(text: str) -> bool:
    """Whether it can be the name of a cluster or a service. Source: clusterName, serviceName, API reference."""
    return _NAME.fullmatch(text) is not None


def wanted(configuration: Mapping[str, Any], default_namespace: str) -> list[Wanted]:
    """The entries with TLS, with the DNS names that they are spoken to under. Raises BadValue. Unverified: the names, the messages.

    Source: ServiceConnectService, API reference (discoveryName, clientAliases).
    """
    if not configuration.get("enabled"):
        return []
    namespace = configuration.get("namespace") or default_namespace
    if not _DNS.fullmatch(namespace):
        raise BadValue(
            "A namespace is required for Service Connect, as a name: no Cloud Map is here to look up an ARN."
        )
    found = [_entry(each, namespace) for each in configuration.get("services", [])]
    ports = [each["portName"] for each in configuration.get("services", [])]
    if len(set(ports)) < len(ports):
        raise BadValue("Each portName of a Service Connect configuration must be unique.")
    return [each for each in found if each is not None]


def _entry(entry: Mapping[str, Any], namespace: str) -> Wanted | None:
    discovery = entry.get("discoveryName") or entry["portName"]
    if not _DISCOVERY.fullmatch(discovery):
        raise BadValue(
            "A discoveryName has up to 64 lowercase letters, digits, underscores and hyphens, and begins with no hyphen."
        )
    aliases: Sequence[Mapping[str, Any]] = entry.get("clientAliases", [])
    if len(aliases) > 1:
        raise BadValue("A Service Connect service has one client alias at most.")
    names = list(
        dict.fromkeys([f"{discovery}.{namespace}", *(each["dnsName"] for each in aliases if each.get("dnsName"))])
    )
    if not all(_DNS.fullmatch(name) for name in names):
        raise BadValue("The dnsName of a client alias is not a DNS name.")
    tls = entry.get("tls")
    if tls is None:
        return None
    authority, role = tls["issuerCertificateAuthority"].get("awsPcaAuthorityArn"), tls.get("roleArn")
    if not authority:
        raise BadValue("An issuerCertificateAuthority needs awsPcaAuthorityArn.")
    if not role:
        raise BadValue("Service Connect TLS needs roleArn, the infrastructure role that makes and renews its secret.")
    return Wanted(entry["portName"], tuple(names), authority, role, tls.get("kmsKey", ""))


def wait_ms(waited_ms: int) -> int:
    """How long to wait before what was refused for `waited_ms` is tried again: 1 s at first, 1 minute at most."""
    return max(1_000, min(60_000, waited_ms // 2))
