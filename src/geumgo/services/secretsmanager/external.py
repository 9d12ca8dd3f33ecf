"""The rotation of managed external secrets: who may rotate them, and how far a rotation gets here.

What their partners offer lies in the internet, and this server speaks to none of them. So a rotation reads the secret as the role that was
given, says what is wrong with it, and otherwise that its partner cannot be reached. It never succeeds.
"""

from collections.abc import Mapping
from typing import Any, Final

from geumgo.context import Context, Params, Work
from geumgo.domain.arn import split_arn
from geumgo.errors import ServiceError
from geumgo.services.secretsmanager import domain_external as rules
from geumgo.services.secretsmanager import store_external
from geumgo.services.secretsmanager.errors import InvalidParameter, InvalidRequest
from geumgo.services.secretsmanager.records import Secret
from geumgo.services.secretsmanager.store_external import External

HOST: Final = "secretsmanager.amazonaws.com"
_ROLE: Final = "ExternalSecretRotationRoleArn"
_METADATA: Final = "ExternalSecretRotationMetadata"
_SESSION: Final = "SecretsManagerRotation"


def refuse_members(secret: Secret, params: Params) -> None:
    """Raises InvalidParameter for what does not go with this kind of secret. Unverified: the messages."""
    if secret.secret_type is None:
        for member in (_METADATA, _ROLE):
            if params.get(member):
                raise InvalidParameter(f"{member} can only be used with a managed external secret, and this is none.")
    elif params.get("RotationLambdaARN"):
        raise InvalidParameter("RotationLambdaARN can't be used with a managed external secret.")


def keep(ctx: Context, secret: Secret, params: Params, schedule: Mapping[str, Any]) -> None:
    """What the request says of the partner is kept; what it does not say stays. The role must let Secrets Manager in.

    Raises:
        InvalidParameter: there is no role, or the metadata or the schedule are not what the partner's type wants.
        InvalidRequest: the role does not let Secrets Manager in. Source: the beginning of its message, as Terraform waits for it.
    """
    assert secret.secret_type is not None, "a managed external secret has a type"
    before = store_external.find(ctx.tx, ctx.sealing, secret)
    role = params.get(_ROLE) or (before.role_arn if before is not None else "")
    if not role:
        raise InvalidParameter(f"You must provide {_ROLE} to rotate a managed external secret.")
    metadata = rules.metadata_of(params[_METADATA]) if _METADATA in params else before.metadata if before else ()
    rules.refuse_metadata(secret.secret_type, metadata)
    rules.refuse_interval(secret.secret_type, schedule)
    _refuse_unless_assumable(ctx, secret, role)
    store_external.keep(ctx.tx, ctx.sealing, secret, External(role, metadata))


def _refuse_unless_assumable(ctx: Context, secret: Secret, role: str) -> None:
    arn = split_arn(role)
    if arn is None or arn.service != "iam" or not arn.resource.startswith("role/"):
        raise InvalidParameter(f"The {_ROLE} is not the ARN of a role.")
    try:
        ctx.act("sts", "AssumeRole", source_arn=secret.arn, RoleArn=role, RoleSessionName=_SESSION)
    except ServiceError:
        raise InvalidRequest(
            f"Secrets Manager is unable to assume role {role}. Ensure that its trust policy grants access to {HOST}."
        ) from None


def attempt(work: Work, secret: Secret) -> str:
    """Why the rotation goes no further, as a sentence without any secret. It never goes any further."""
    assert secret.secret_type is not None, "a managed external secret has a type"
    with work.storage.reading() as tx:
        external = store_external.find(tx, work.sealing, secret)
    if external is None:
        return f"No {_ROLE} is known."
    try:
        rules.refuse_metadata(secret.secret_type, external.metadata)
        answer = work.call(
            "secretsmanager", "GetSecretValue", source_arn=secret.arn, role_arn=external.role_arn, SecretId=secret.arn
        )
    except InvalidParameter as refusal:  # the type was changed since
        return refusal.message
    except ServiceError as refusal:
        return f"The secret cannot be read as {external.role_arn}: {refusal.code}"
    lacks = rules.lacking(secret.secret_type, answer.get("SecretString", ""))
    return lacks or f"{rules.PARTNERS[secret.secret_type].name} cannot be reached: this server does not speak to it."
