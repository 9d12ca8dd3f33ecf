"""An attached cluster as Redshift describes one."""

from typing import Final

from geumgo.attached.records import AVAILABLE, CREATING, DELETING, FAILED, RESETTING
from geumgo.context import Params, as_datetime
from geumgo.services.redshift.records import Cluster

KEPT: Final = (
    "AllowVersionUpgrade", "AutomatedSnapshotRetentionPeriod", "AvailabilityZone", "ClusterVersion", "Encrypted", "EnhancedVpcRouting",
    "IpAddressType", "KmsKeyId", "MaintenanceTrackName", "ManualSnapshotRetentionPeriod", "MultiAZ", "NodeType", "NumberOfNodes",
    "PreferredMaintenanceWindow", "PubliclyAccessible",
)  # fmt: skip
"""What a caller says of a machine that is not ours: it is kept and shown again, and changes nothing."""

_UNSAID: Final[Params] = {
    "AllowVersionUpgrade": True,
    "AutomatedSnapshotRetentionPeriod": 1,
    "Encrypted": False,
    "EnhancedVpcRouting": False,
    "ManualSnapshotRetentionPeriod": -1,
    "NumberOfNodes": 1,
    "PubliclyAccessible": False,
}
"""Source: the defaults of CreateCluster, API reference."""

_STATUS: Final = {
    CREATING: ("creating", "Modifying"),
    AVAILABLE: ("available", "Available"),
    RESETTING: ("modifying", "Modifying"),
    DELETING: ("deleting", "Unavailable"),
    FAILED: ("failed", "Failed"),
}
"""ClusterStatus and ClusterAvailabilityStatus. Source: Cluster, API reference; it has no word for a cluster that lets nobody in."""


def status_of(cluster: Cluster) -> str:
    return _STATUS[cluster.status][0]


def described(cluster: Cluster) -> Params:
    """The members of Cluster."""
    status, availability = _STATUS[cluster.status]
    shown: Params = {
        **_UNSAID,
        **cluster.kept,
        "ClusterIdentifier": cluster.identifier,
        "ClusterNamespaceArn": cluster.place.arn("redshift", f"namespace:{cluster.resource_id}"),
        "ClusterStatus": status,
        "ClusterAvailabilityStatus": availability,
        "MasterUsername": cluster.username,
        "DBName": cluster.database_name,
        "Endpoint": {"Address": cluster.host, "Port": cluster.port},
        "ClusterCreateTime": as_datetime(cluster.created_at_ms),
        "PendingModifiedValues": {"MasterUserPassword": "****"} if cluster.next_password is not None else {},
        "MultiAZ": "Enabled" if cluster.kept.get("MultiAZ") else "Disabled",
        "Tags": [{"Key": key, "Value": value} for key, value in sorted(cluster.tags.items())],
    }
    if cluster.message:
        shown["ModifyStatus"] = cluster.message
    if cluster.secret_arn:
        shown["MasterPasswordSecretArn"] = cluster.secret_arn
        shown["MasterPasswordSecretKmsKeyId"] = cluster.secret_key
    return shown
