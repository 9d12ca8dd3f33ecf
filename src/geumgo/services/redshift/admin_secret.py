"""The secret of an admin password that Redshift manages.

Source: "Managing Amazon Redshift admin passwords using AWS Secrets Manager", management guide; its name as users' ARNs have it.
Unverified: its description, its tag, and that its value is user name and password only.
"""

from typing import Final

from geumgo.attached import master_secret
from geumgo.attached.owner import Owner
from geumgo.context import Context
from geumgo.errors import ServiceError
from geumgo.sealing import Plaintext
from geumgo.sealing.random import uuid
from geumgo.services.redshift import domain, store
from geumgo.services.redshift.records import Cluster

OWNER: Final = Owner(
    service="redshift",
    role_name="AWSServiceRoleForRedshift",
    rotation_days=domain.ROTATION_DAYS,
    password_length=domain.PASSWORD_LENGTH,
    excluded=domain.EXCLUDED,
    store=store.STORE,
)
CLUSTER_TAG: Final = "aws:redshift:primaryClusterArn"


def make(ctx: Context, cluster: Cluster, password: Plaintext, kms_key: str | None) -> Cluster:
    """The cluster with a secret that holds `password`, and is called after the cluster and its admin user.

    One of that name that waits for its deletion is the secret of the same cluster from before: it is taken back. So the caller needs
    secretsmanager:DescribeSecret, and then also secretsmanager:RestoreSecret, PutSecretValue and UpdateSecret, besides what
    `geumgo.attached.master_secret.make` asks.
    """
    name = f"redshift!{cluster.identifier}-{cluster.username}"
    arn = _waiting_for_its_deletion(ctx, name)
    if arn is None:
        description = f"Secret associated with primary Redshift cluster: {cluster.arn}"
        return master_secret.make(
            ctx, OWNER, cluster, password, kms_key, name=name, description=description, tags={CLUSTER_TAG: cluster.arn}
        )
    master_secret.make_role(ctx, OWNER)
    ctx.call("secretsmanager", "RestoreSecret", SecretId=arn)
    ctx.call("secretsmanager", "UpdateSecret", SecretId=arn, KmsKeyId=kms_key or master_secret.DEFAULT_KEY)
    value = master_secret.value_of(cluster.username, password)
    ctx.call("secretsmanager", "PutSecretValue", SecretId=arn, ClientRequestToken=uuid(), SecretString=value)
    return master_secret.under_key(ctx, OWNER, cluster, arn, kms_key)


def _waiting_for_its_deletion(ctx: Context, name: str) -> str | None:
    try:
        found = ctx.call("secretsmanager", "DescribeSecret", SecretId=name)
    except ServiceError as refusal:
        if refusal.code == "ResourceNotFoundException":
            return None
        raise
    return str(found["ARN"]) if "DeletedDate" in found and found.get("OwningService") == OWNER.service else None
