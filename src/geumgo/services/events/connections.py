"""Connections: how webhooks know us. The credentials lie in a secret that EventBridge owns, as the caller's own call made it.

Source: "Connections for API destinations", user guide (the secret `events!connection/...`, the service-linked role that reads it);
CreateConnection, UpdateConnection, DeauthorizeConnection, API reference; the messages as they were recorded on AWS.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from geumgo.context import Context, Params, Place, as_datetime
from geumgo.errors import ValidationFailed
from geumgo.jobs import promise
from geumgo.room import operation, reads
from geumgo.sealing import random
from geumgo.services.events import paging, store_webhooks
from geumgo.services.events.domain_webhook import (
    InvalidParameters,
    check_parameters,
    merged,
    parameters_from,
    public_of,
    secret_of,
)
from geumgo.services.events.errors import ResourceAlreadyExists, ResourceNotFound
from geumgo.services.events.records import AUTHORIZED, AUTHORIZING, DEAUTHORIZED, Connection

ROLE_SERVICE: Final = "apidestinations.events.amazonaws.com"
OAUTH: Final = "OAUTH_CLIENT_CREDENTIALS"


def reading_role(place: Place) -> str:
    """The service-linked role that reads the secrets of connections."""
    name = "AWSServiceRoleForAmazonEventBridgeApiDestinations"
    return f"arn:{place.partition}:iam::{place.account}:role/aws-service-role/{ROLE_SERVICE}/{name}"


@operation
def create_connection(ctx: Context, request: Params) -> Params:
    """There is such a connection, and a secret with its credentials; the role that will read it is there too.

    Whoever asks needs the rights on the secret himself: secretsmanager:CreateSecret, and iam:CreateServiceLinkedRole for the first one.
    """
    name = request["Name"]
    if store_webhooks.find_connection(ctx.tx, ctx.sealing, ctx.place, name) is not None:
        raise ResourceAlreadyExists(f"Connection {name} already exists.")
    if "InvocationConnectivityParameters" in request:
        raise ValidationFailed("Private connectivity is not served here.")
    kind, parameters = request["AuthorizationType"], request["AuthParameters"]
    _check(kind, parameters)
    now_ms = ctx.clock.now_ms()
    connection = Connection(
        place=ctx.place,
        name=name,
        suffix=random.uuid(),
        description=request.get("Description"),
        kind=kind,
        state=_first_state(kind),
        state_reason=None,
        secret_arn=None,
        kms_key_id=request.get("KmsKeyIdentifier") or None,
        parameters=public_of(parameters),
        created_at_ms=now_ms,
        changed_at_ms=now_ms,
        authorized_at_ms=None if kind == OAUTH else now_ms,
    )
    if ctx.principals.role(ctx.tx, reading_role(ctx.place)) is None:
        ctx.call("iam", "CreateServiceLinkedRole", AWSServiceName=ROLE_SERVICE)
    answer = _keep(ctx, _with_secret(ctx, connection, secret_of(kind, parameters)))
    return {name: value for name, value in answer.items() if name != "LastAuthorizedTime"}


def _check(kind: str, parameters: Mapping[str, Any]) -> None:
    try:
        check_parameters(kind, parameters)
    except InvalidParameters as refusal:
        raise ValidationFailed(str(refusal)) from None


def _first_state(kind: str) -> str:
    """A token is fetched before a connection with OAuth counts as authorized."""
    return AUTHORIZING if kind == OAUTH else AUTHORIZED


def _with_secret(ctx: Context, connection: Connection, value: str) -> Connection:
    made = ctx.call(
        "secretsmanager",
        "CreateSecret",
        Name=f"events!connection/{connection.name}/{random.uuid()}",
        ClientRequestToken=random.uuid(),
        Description=f"Credentials of the EventBridge connection {connection.name}",
        SecretString=value,
        **({"KmsKeyId": connection.kms_key_id} if connection.kms_key_id else {}),
    )
    return replace(connection, secret_arn=made["ARN"])


def _keep(ctx: Context, connection: Connection) -> Params:
    """The connection is kept; one with OAuth asks for its first token soon."""
    store_webhooks.save_connection(ctx.tx, ctx.sealing, connection)
    if connection.state == AUTHORIZING:
        promise(
            ctx.tx,
            "events.authorize",
            connection.place,
            {"connection": connection.name, "arn": connection.arn},
            run_at_ms=ctx.clock.now_ms(),
            lock=f"events.authorize {connection.arn}",
            dedup=f"events.authorize {connection.arn}",
        )
    return _answer(connection)


def _answer(connection: Connection, state: str | None = None) -> Params:
    return {
        "ConnectionArn": connection.arn,
        "ConnectionState": state or connection.state,
        "CreationTime": as_datetime(connection.created_at_ms),
        "LastModifiedTime": as_datetime(connection.changed_at_ms),
        **_authorized(connection),
    }


def _authorized(connection: Connection) -> Params:
    at_ms = connection.authorized_at_ms
    return {} if at_ms is None else {"LastAuthorizedTime": as_datetime(at_ms)}


def get(ctx: Context, request: Params) -> Connection:
    """Raises ResourceNotFound."""
    found = store_webhooks.find_connection(ctx.tx, ctx.sealing, ctx.place, request["Name"])
    if found is None:
        raise ResourceNotFound(f"Failed to describe the connection(s). Connection '{request['Name']}' does not exist.")
    return found


@operation
def update_connection(ctx: Context, request: Params) -> Params:
    """What the request says in place of what was. The rest of the credentials stays: it is read from the secret as the caller.

    Another AuthorizationType needs all parameters anew.
    """
    connection = get(ctx, request)
    if "InvocationConnectivityParameters" in request:
        raise ValidationFailed("Private connectivity is not served here.")
    kind = request.get("AuthorizationType", connection.kind)
    now_ms = ctx.clock.now_ms()
    changed = replace(
        connection,
        kind=kind,
        description=request.get("Description", connection.description),
        changed_at_ms=now_ms,
    )
    key = request.get("KmsKeyIdentifier")
    if key is not None and connection.secret_arn is not None and key != (connection.kms_key_id or ""):
        ctx.call("secretsmanager", "UpdateSecret", SecretId=connection.secret_arn, KmsKeyId=key or _OWN_KEY)
    if key is not None:
        changed = replace(changed, kms_key_id=key or None)
    if kind != connection.kind or "AuthParameters" in request:
        changed = _with_parameters(ctx, connection, changed, request.get("AuthParameters", {}), now_ms)
    return _keep(ctx, changed)


_OWN_KEY: Final = "alias/aws/secretsmanager"


def _with_parameters(
    ctx: Context, connection: Connection, changed: Connection, given: Mapping[str, Any], now_ms: int
) -> Connection:
    parameters: Mapping[str, Any] = given
    if changed.kind == connection.kind and connection.secret_arn is not None:
        known = ctx.call("secretsmanager", "GetSecretValue", SecretId=connection.secret_arn)["SecretString"]
        parameters = merged(parameters_from(connection.kind, known), given)
    _check(changed.kind, parameters)
    changed = replace(
        changed,
        parameters=public_of(parameters),
        state=_first_state(changed.kind),
        state_reason=None,
        authorized_at_ms=changed.authorized_at_ms if changed.kind == OAUTH else now_ms,
    )
    value = secret_of(changed.kind, parameters)
    if connection.secret_arn is None:
        return _with_secret(ctx, changed, value)
    ctx.call(
        "secretsmanager",
        "PutSecretValue",
        SecretId=connection.secret_arn,
        ClientRequestToken=random.uuid(),
        SecretString=value,
    )
    return changed


@operation
def deauthorize_connection(ctx: Context, request: Params) -> Params:
    """The connection has no credentials any more: its secret is gone. UpdateConnection gives it new ones."""
    connection = get(ctx, request)
    _drop_secret(ctx, connection)
    parameters = {name: value for name, value in connection.parameters.items() if name == "InvocationHttpParameters"}
    now_ms = ctx.clock.now_ms()
    return _keep(
        ctx,
        replace(connection, state=DEAUTHORIZED, secret_arn=None, parameters=parameters, changed_at_ms=now_ms),
    )


def _drop_secret(ctx: Context, connection: Connection) -> None:
    if connection.secret_arn is not None:
        ctx.call("secretsmanager", "DeleteSecret", SecretId=connection.secret_arn, ForceDeleteWithoutRecovery=True)


@operation
def delete_connection(ctx: Context, request: Params) -> Params:
    """Connection and secret are gone. API destinations that name it can call nobody."""
    connection = get(ctx, request)
    _drop_secret(ctx, connection)
    store_webhooks.drop_connection(ctx.tx, connection)
    return _answer(connection, "DELETING")


@reads
def describe_connection(ctx: Context, request: Params) -> Params:
    """Everything but what is secret."""
    connection = get(ctx, request)
    given = {
        "Description": connection.description,
        "StateReason": connection.state_reason,
        "SecretArn": connection.secret_arn,
        "KmsKeyIdentifier": connection.kms_key_id,
    }
    return {
        **_shown(connection),
        "AuthParameters": dict(connection.parameters),
        **{member: value for member, value in given.items() if value is not None},
    }


@reads
def list_connections(ctx: Context, request: Params) -> Params:
    found = store_webhooks.list_connections(
        ctx.tx,
        ctx.sealing,
        ctx.place,
        prefix=request.get("NamePrefix", ""),
        state=request.get("ConnectionState"),
        after=paging.after(ctx, "ListConnections", request),
        limit=paging.limit_of(request) + 1,
    )
    shown, more = paging.page(ctx, "ListConnections", request, found, lambda connection: connection.name)
    return {"Connections": [_shown(connection) for connection in shown], **more}


def _shown(connection: Connection) -> Params:
    return {
        **_answer(connection),
        "Name": connection.name,
        "AuthorizationType": connection.kind,
    }
