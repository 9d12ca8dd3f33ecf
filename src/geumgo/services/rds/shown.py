"""An attached database as RDS describes one."""

from typing import Final

from geumgo.context import Params, as_datetime
from geumgo.services.rds.records import FAILED, Database, Kind

KEPT: Final[dict[Kind, tuple[str, ...]]] = {
    "db": (
        "AllocatedStorage", "AutoMinorVersionUpgrade", "AvailabilityZone", "BackupRetentionPeriod", "CACertificateIdentifier",
        "CopyTagsToSnapshot", "DBInstanceClass", "DeletionProtection", "EngineVersion", "Iops", "LicenseModel", "MaxAllocatedStorage",
        "MonitoringInterval", "MultiAZ", "NetworkType", "PreferredBackupWindow", "PreferredMaintenanceWindow", "PubliclyAccessible",
        "StorageEncrypted", "StorageThroughput", "StorageType",
    ),
    "cluster": (
        "AllocatedStorage", "AutoMinorVersionUpgrade", "AvailabilityZones", "BackupRetentionPeriod", "CopyTagsToSnapshot",
        "DBClusterInstanceClass", "DeletionProtection", "EngineMode", "EngineVersion", "Iops", "MonitoringInterval", "NetworkType",
        "PreferredBackupWindow", "PreferredMaintenanceWindow", "PubliclyAccessible", "StorageEncrypted", "StorageType",
    ),
}  # fmt: skip
"""What a caller says of a machine that is not ours: it is kept and shown again, and changes nothing but whether deletion is refused."""

_NO: Final[dict[Kind, tuple[str, ...]]] = {
    "db": (
        "AutoMinorVersionUpgrade", "CopyTagsToSnapshot", "DeletionProtection", "MultiAZ", "PubliclyAccessible", "StorageEncrypted",
    ),
    "cluster": ("AutoMinorVersionUpgrade", "CopyTagsToSnapshot", "DeletionProtection", "MultiAZ", "StorageEncrypted"),
}  # fmt: skip


def described(database: Database) -> Params:
    """The members of DBInstance or DBCluster."""
    kept = {**dict.fromkeys(_NO[database.kind], False), "IAMDatabaseAuthenticationEnabled": False, **database.kept}
    shared: Params = {
        **kept,
        "Engine": database.engine,
        "MasterUsername": database.username,
        "TagList": [{"Key": key, "Value": value} for key, value in sorted(database.tags.items())],
    }
    if database.secret_arn:
        shared["MasterUserSecret"] = {
            "SecretArn": database.secret_arn,
            "SecretStatus": database.secret_status,
            "KmsKeyId": database.secret_key,
        }
    if database.message:
        status = "error" if database.status == FAILED else database.status
        said = {"StatusType": "geumgo:attached", "Normal": False, "Status": status, "Message": database.message}
        shared["StatusInfos"] = [said]
    return shared | (_instance(database) if database.kind == "db" else _cluster(database))


def _instance(database: Database) -> Params:
    shown: Params = {
        "DBInstanceIdentifier": database.identifier,
        "DBInstanceArn": database.arn,
        "DbiResourceId": database.resource_id,
        "DBInstanceStatus": database.status,
        "Endpoint": {"Address": database.host, "Port": database.port},
        "InstanceCreateTime": as_datetime(database.created_at_ms),
        "PendingModifiedValues": _pending(database),
    }
    return {**shown, "DBName": database.database_name} if database.database_name else shown


def _cluster(database: Database) -> Params:
    shown: Params = {
        "DBClusterIdentifier": database.identifier,
        "DBClusterArn": database.arn,
        "DbClusterResourceId": database.resource_id,
        "Status": database.status,
        "Endpoint": database.host,
        "Port": database.port,
        "ClusterCreateTime": as_datetime(database.created_at_ms),
        "DBClusterMembers": [],
        "PendingModifiedValues": _pending(database),
    }
    return {**shown, "DatabaseName": database.database_name} if database.database_name else shown


def _pending(database: Database) -> Params:
    """Source: PendingModifiedValues, API reference; a password is shown as stars."""
    return {"MasterUserPassword": "****"} if database.next_password is not None else {}
