"""What EventBridge hears of KMS. Source: "Monitoring KMS keys with Amazon EventBridge", developer guide."""

from typing import Any, Final

from geumgo.services.kms.records import Key

ROTATED: Final = "KMS CMK Rotation"
MATERIAL_EXPIRED: Final = "KMS Imported Key Material Expiration"
DELETED: Final = "KMS CMK Deletion"


def told(detail_type: str, key: Key) -> tuple[str, str, list[str], dict[str, Any]]:
    """Source, detail-type, resources and detail of the event about `key`."""
    return "aws.kms", detail_type, [key.arn], {"key-id": key.key_id}
