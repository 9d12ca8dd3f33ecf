"""The variables of a function: sealed where they are kept, shown to who may see its configuration.

With a KMS key of the customer they are sealed under a data key of that key. Whoever sets them must be allowed to use it, and to give Lambda
a grant on it; whoever looks at them needs kms:Decrypt. Source: "Securing Lambda environment variables", developer guide.
"""

import json
from base64 import b64decode, b64encode
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from geumgo.context import Context, Params
from geumgo.errors import ServiceError
from geumgo.sealing import Plaintext, Sealing
from geumgo.sealing.values import open_value, seal_value
from geumgo.services.lambda_ import domain
from geumgo.services.lambda_.errors import InvalidParameterValue, kms_refused
from geumgo.services.lambda_.records import Function, Version

HOST: Final = "lambda.amazonaws.com"

Ask = Callable[[Params], Params]
"""Asks KMS to Decrypt, as whoever wants to see the variables."""


def _bound_to(function: Function) -> dict[str, str]:
    return {
        "label": "lambda environment",
        "account": function.account,
        "region": function.region,
        "function": function.id,
    }


def _encryption_context(function: Function) -> dict[str, str]:
    """Source: "Securing Lambda environment variables", developer guide (aws:lambda:FunctionArn)."""
    return {"aws:lambda:FunctionArn": function.arn}


def with_variables(ctx: Context, function: Function, version: Version, variables: dict[str, str], key: str) -> Version:
    """The version with these variables, under this KMS key ("": the server's own).

    Raises InvalidParameterValue: a variable cannot be set, or the caller may not use the key.
    """
    if not variables:
        return replace(version, environment=None, kms_key=key, wrapped_key="")
    text = Plaintext(json.dumps(domain.checked_environment(variables)).encode())
    if not key:
        sealed = ctx.sealing.wrap("lambda", _bound_to(function), text)
        return replace(version, environment=sealed, kms_key="", wrapped_key="")
    data_key, wrapped = _data_key(ctx, function, key)
    sealed = seal_value(data_key, _bound_to(function), text)
    return replace(version, environment=sealed, kms_key=key, wrapped_key=b64encode(wrapped).decode())


def _data_key(ctx: Context, function: Function, key: str) -> tuple[Plaintext, bytes]:
    """A data key of the caller's KMS key, which Lambda may open from now on. Raises InvalidParameterValue."""
    context = _encryption_context(function)
    constraints = {"EncryptionContextEquals": context, "SourceArn": function.arn}
    try:
        made = ctx.call("kms", "GenerateDataKey", KeyId=key, KeySpec="AES_256", EncryptionContext=context)
        ctx.call(
            "kms", "CreateGrant", KeyId=key, Name=f"lambda-{function.id}", Operations=["Decrypt"], Constraints=constraints,
            GranteeServicePrincipal=HOST, RetiringServicePrincipal=HOST,
        )  # fmt: skip
    except ServiceError as refusal:
        raise InvalidParameterValue(
            "Lambda was unable to configure access to your environment variables because the KMS key is invalid for use. "
            f"Please check your KMS key settings. KMS Exception: {refusal.code}"
        ) from None
    return Plaintext(made.pop("Plaintext")), made["CiphertextBlob"]


def question(function: Function, version: Version) -> Params:
    """What KMS is asked to decrypt, for a version that has a key of the customer."""
    return {"CiphertextBlob": b64decode(version.wrapped_key), "EncryptionContext": _encryption_context(function)}


def environment(sealing: Sealing, function: Function, version: Version, ask: Ask) -> dict[str, str]:
    """The variables of a version. Raises the refusals of KMS, and Unsealable."""
    if version.environment is None:
        return {}
    if version.wrapped_key:
        opened = ask(question(function, version))
        text = open_value(Plaintext(opened.pop("Plaintext")), _bound_to(function), version.environment)
    else:
        text = sealing.unwrap("lambda", _bound_to(function), version.environment)
    found: dict[str, str] = json.loads(text.reveal())
    return found


def sealed_anew(sealing: Sealing, function: Function, version: Version) -> bytes | None:
    """The variables of a version, under the newest root key unless a KMS key protects them. Raises Unsealable."""
    if version.environment is None or version.wrapped_key:
        return version.environment
    context = _bound_to(function)
    return sealing.wrap("lambda", context, sealing.unwrap("lambda", context, version.environment))


def shown_environment(ctx: Context, function: Function, version: Version) -> Params:
    """The member Environment, as the caller may see it. Source: EnvironmentResponse, API reference (the error)."""
    if version.environment is None:
        return {}
    try:
        variables = environment(ctx.sealing, function, version, lambda asked: ctx.call("kms", "Decrypt", **asked))
    except ServiceError as refusal:
        return {"Environment": {"Error": {"ErrorCode": refusal.code, "Message": kms_refused(refusal).message}}}
    return {"Environment": {"Variables": variables}}
