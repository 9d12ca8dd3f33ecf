"""What EventBridge hears of Secrets Manager itself: a label of a secret has moved.

Source: "Match AWS Secrets Manager events using Amazon EventBridge", Secrets Manager User Guide: sent whenever a version gets a label, but
for AWSPENDING and AWSPREVIOUS. Unverified: that a label which is merely taken away is not told.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from geumgo.services.secretsmanager.records import PENDING, PREVIOUS, Secret

SOURCE: Final = "aws.secretsmanager"
DETAIL_TYPE: Final = "Secret Label Updated"

Publish = Callable[[str, str, list[str], dict[str, Any]], None]


def tell(publish: Publish, before: Mapping[str, str], secret: Secret) -> None:
    """One event for each label that is on another version than `before`."""
    for label, version_id in secret.stages.items():
        if label not in (PENDING, PREVIOUS) and before.get(label) != version_id:
            detail = {"name": secret.name, "labelUpdated": label, "versionId": version_id}
            publish(SOURCE, DETAIL_TYPE, [secret.arn], detail)
