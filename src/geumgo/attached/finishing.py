"""What the steps of managed rotations have in common, whatever the secret is for: their names, how one fails, and the last one."""

from collections.abc import Callable, Mapping
from typing import Any, Final

STEPS: Final = ("createSecret", "setSecret", "testSecret", "finishSecret")


class StepFailed(Exception):
    """The step cannot be done. The message is a sentence without any secret."""


def finish(ask: Callable[..., Mapping[str, Any]], token: str) -> None:
    """AWSCURRENT is on the version `token`. `ask` asks Secrets Manager something about the secret: an operation, with its parameters.

    Whoever comes late, after others have ended this rotation and another one, finds that AWSPENDING is not on it any more; and if they
    do so between this look and the move, AWSCURRENT is not where it was.

    Raises StepFailed, and the refusals of Secrets Manager.
    """
    stages: Mapping[str, list[str]] = ask("DescribeSecret").get("VersionIdsToStages", {})
    current = next((version for version, worn in stages.items() if "AWSCURRENT" in worn), None)
    if current == token:
        return
    if "AWSPENDING" not in stages.get(token, ()):
        raise StepFailed("AWSPENDING is not on the new version any more.")
    also = {} if current is None else {"RemoveFromVersionId": current}
    ask("UpdateSecretVersionStage", VersionStage="AWSCURRENT", MoveToVersionId=token, **also)
