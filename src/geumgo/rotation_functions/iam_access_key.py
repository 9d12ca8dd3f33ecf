"""The access key of an IAM user: `username`, `accessKeyId`, `secretAccessKey`.

A user may have two keys, so the new one is made beside the current one, and the previous one makes room for it: an application has a whole
rotation's time to take the new key. Source: "Update access keys", IAM User Guide (two keys for each user, the old one deleted last).
"""

import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3

from .steps import Rotation, handler

TRIES = 12  # a new key is not known everywhere at once on AWS
PAUSE_SECONDS = 2.5
YOUNG = timedelta(days=1)


class AccessKey(Rotation):
    """One call of one step."""

    def create(self) -> None:
        """The new version holds a new key. A key that was made before a crash, and never written down, makes room too."""
        current = self._read("AWSCURRENT") or {}
        if "username" not in current:
            raise KeyError("username key is missing from secret JSON")
        if self.text_if_there("AWSPENDING") is not None:
            return
        iam = boto3.client("iam")
        user = current["username"]
        previous = (self._read("AWSPREVIOUS") or {}).get("accessKeyId")
        for key in iam.list_access_keys(UserName=user)["AccessKeyMetadata"]:
            known = key["AccessKeyId"]
            if known != current.get("accessKeyId") and (known == previous or _lost(iam, key)):
                iam.delete_access_key(UserName=user, AccessKeyId=known)
        made = iam.create_access_key(UserName=user)["AccessKey"]
        new = {"accessKeyId": made["AccessKeyId"], "secretAccessKey": made["SecretAccessKey"]}
        self.put(json.dumps({**current, **new}))

    def set(self) -> None:
        """IAM knows the key already."""

    def test(self) -> None:
        pending = json.loads(self.text("AWSPENDING"))
        sts = boto3.client(
            "sts", aws_access_key_id=pending["accessKeyId"], aws_secret_access_key=pending["secretAccessKey"]
        )
        for left in range(TRIES, 0, -1):
            try:
                sts.get_caller_identity()
            except sts.exceptions.ClientError:
                if left == 1:
                    raise
                time.sleep(PAUSE_SECONDS)
            else:
                return

    def _read(self, stage: str) -> dict[str, Any] | None:
        found = self.text_if_there(stage)
        return None if found is None else dict(json.loads(found))


def _lost(iam: Any, key: dict[str, Any]) -> bool:
    """Whether nobody can have the key: it was made lately, and was never used."""
    if datetime.now(UTC) - key["CreateDate"] > YOUNG:
        return False
    used = iam.get_access_key_last_used(AccessKeyId=key["AccessKeyId"])["AccessKeyLastUsed"]
    return "LastUsedDate" not in used


lambda_handler = handler(
    AccessKey,
    {
        "createSecret": AccessKey.create,
        "setSecret": AccessKey.set,
        "testSecret": AccessKey.test,
        "finishSecret": AccessKey.finish,
    },
)
