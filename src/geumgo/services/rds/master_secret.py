"""The secret of a master password that RDS manages.

Source: "Password management with Amazon RDS and AWS Secrets Manager", user guide.
"""

from typing import Final

from geumgo.attached import master_secret
from geumgo.attached.owner import Owner
from geumgo.context import Context
from geumgo.sealing import Plaintext
from geumgo.sealing.random import uuid
from geumgo.services.rds import domain, store
from geumgo.services.rds.records import Database, Kind

OWNER: Final = Owner(
    service="rds",
    role_name="AWSServiceRoleForRDS",
    rotation_days=domain.ROTATION_DAYS,
    password_length=domain.PASSWORD_LENGTH,
    excluded=domain.EXCLUDED,
    store=store.STORE,
)

_OWNER_TAG: Final[dict[Kind, str]] = {"db": "aws:rds:primaryDBInstanceArn", "cluster": "aws:rds:primaryDBClusterArn"}
_NOUN: Final[dict[Kind, str]] = {"db": "DB instance", "cluster": "DB cluster"}


def make(ctx: Context, database: Database, password: Plaintext, kms_key: str | None) -> Database:
    """The database with a secret that holds `password`. Raises what `geumgo.attached.master_secret.make` raises."""
    return master_secret.make(
        ctx,
        OWNER,
        database,
        password,
        kms_key,
        name=f"rds!{database.kind}-{uuid()}",
        description=f"Secret associated with primary RDS {_NOUN[database.kind]}: {database.arn}",
        tags={_OWNER_TAG[database.kind]: database.arn},
    )
