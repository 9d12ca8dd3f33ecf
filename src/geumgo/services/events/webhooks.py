"""Webhooks: an event is sent to an API destination, by the one sender that reaches public addresses and what the operator listed.

Source: "API destinations as targets in Amazon EventBridge", user guide (which answers are tried again, Retry-After).
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from geumgo.access.demand import Demand, Target
from geumgo.context import Params, Place, Work
from geumgo.domain.arn import parse_arn
from geumgo.errors import ServiceError
from geumgo.jobs import TryLater
from geumgo.outbound import Answer, Failed, Outbound, Refused
from geumgo.services.events import store_webhooks
from geumgo.services.events.connections import OAUTH, reading_role
from geumgo.services.events.domain_webhook import (
    HttpRequest,
    InvalidRequest,
    authorization,
    read_token,
    token_request,
    webhook_request,
)
from geumgo.services.events.failures import (
    NO_PERMISSIONS,
    NO_RESOURCE,
    THROTTLING,
    TIMEOUT,
    Undeliverable,
    Unreached,
    meaning_of,
)
from geumgo.services.events.keeping import keep
from geumgo.services.events.records import AUTHORIZED, AUTHORIZING, DEAUTHORIZED, ApiDestination, Connection

AGAIN: Final = frozenset({401, 407, 409, 429})  # beside 5xx
LONGEST_WAIT_S: Final = 3_600  # that a Retry-After may ask for


class Webhooks:
    """Calls API destinations. Credentials are read from their secret for each call and kept nowhere."""

    def __init__(self, outbound: Outbound) -> None:
        self._outbound = outbound

    # -- an event -----------------------------------------------------------------------------------------------------

    def send(
        self,
        work: Work,
        *,
        rule_arn: str,
        target: Mapping[str, Any],
        event: Mapping[str, Any],
        text: str,
        key: str,
    ) -> None:
        """The endpoint has taken the event. Raises Undeliverable, Unreached; TryLater while its pace does not allow a call."""
        destination, connection = _find(work, target["Arn"])
        resting = _await_turn(work, destination)
        to = Target(destination.arn, destination.arn, destination.place.account)
        _check(work, Demand("events:InvokeApiDestination", to), rule_arn, target["RoleArn"])
        secret = _secret(work, connection)
        try:
            answer = self._call(self._request(destination, connection, secret, target, event, text, key))
        except Unreached:  # it is left alone for a while, by every event that waits for it
            now_ms = work.clock.now_ms()
            keep(work.writing, lambda tx: store_webhooks.did_not_answer(tx, destination.arn, now_ms))
            raise
        if resting:
            keep(work.writing, lambda tx: store_webhooks.answered(tx, destination.arn))
        _judge(answer)

    def _request(
        self,
        destination: ApiDestination,
        connection: Connection,
        secret: str,
        target: Mapping[str, Any],
        event: Mapping[str, Any],
        text: str,
        key: str,
    ) -> HttpRequest:
        token = self._token(secret) if connection.kind == OAUTH else None
        try:
            return webhook_request(
                method=destination.method,
                endpoint=destination.endpoint,
                secret=secret,
                authorized_by=authorization(connection.kind, secret, token),
                target=target,
                event=event,
                text=text,
                key=key,
            )
        except InvalidRequest as fault:
            raise Undeliverable("INVALID_PARAMETER", str(fault)) from None

    def _call(self, request: HttpRequest) -> Answer:
        try:
            return self._outbound.send(request.method, request.url, request.headers, request.body)
        except Refused as refusal:
            raise Undeliverable("REFUSED_ENDPOINT", str(refusal)) from None
        except Failed as fault:
            raise Unreached(TIMEOUT, str(fault)) from None

    def _token(self, secret: str) -> str:
        """A new access token. An endpoint that gives none may do so later."""
        answer = self._call(token_request(secret))
        token = read_token(answer.body) if 200 <= answer.status < 300 else None
        if token is None:
            raise Unreached(
                NO_PERMISSIONS, f"The authorization endpoint answered {answer.status} without an access token."
            )
        return token

    # -- the first token ----------------------------------------------------------------------------------------------

    def authorize(self, work: Work, payload: Params) -> None:
        """A connection with OAuth is authorized if it gets an access token, and says why not otherwise."""
        with work.storage.reading() as tx:
            connection = store_webhooks.connection_with_arn(tx, work.sealing, work.place, payload["arn"])
        if connection is None or connection.state != AUTHORIZING:
            with work.finishing():
                return
        why = None
        try:
            self._token(_secret(work, connection))
        except (Undeliverable, Unreached) as fault:
            why = str(fault)
        with work.finishing() as tx:
            now = store_webhooks.connection_with_arn(tx, work.sealing, work.place, connection.arn)
            if now is None or now.state != AUTHORIZING or now.changed_at_ms != connection.changed_at_ms:
                return
            done = (
                replace(now, state=DEAUTHORIZED, state_reason=why[:512])
                if why is not None
                else replace(now, state=AUTHORIZED, state_reason=None, authorized_at_ms=work.clock.now_ms())
            )
            store_webhooks.save_connection(tx, work.sealing, done)


def _await_turn(work: Work, destination: ApiDestination) -> bool:
    """Whether the endpoint did not answer the last time. Raises TryLater while it rests, or its pace does not allow a call."""
    now_ms = work.clock.now_ms()
    with work.storage.reading() as tx:
        wait_ms = store_webhooks.wait_ms(tx, destination.arn, now_ms)
        resting = store_webhooks.has_failed(tx, destination.arn)
    if wait_ms:
        raise TryLater(wait_ms)
    if destination.per_second is not None:
        with work.writing() as tx:
            store_webhooks.is_called(tx, destination, now_ms)
    return resting


def _find(work: Work, arn: str) -> tuple[ApiDestination, Connection]:
    name = parse_arn(arn).resource_id.partition("/")[0]
    with work.storage.reading() as tx:
        destination = store_webhooks.find_destination(tx, work.sealing, work.place, name)
        if destination is None or destination.arn != arn:
            raise Undeliverable(NO_RESOURCE, "The API destination does not exist.")
        connection = store_webhooks.connection_with_arn(tx, work.sealing, work.place, destination.connection_arn)
    if connection is None:
        raise Undeliverable(NO_RESOURCE, "The connection of the API destination does not exist.")
    if connection.secret_arn is None:
        raise Undeliverable(NO_PERMISSIONS, "The connection of the API destination is not authorized.")
    return destination, connection


def _check(work: Work, demand: Demand, rule_arn: str, role_arn: str) -> None:
    try:
        work.check((demand,), source_arn=rule_arn, role_arn=role_arn)
    except ServiceError as refusal:
        raise meaning_of(refusal) from refusal


def _secret(work: Work, connection: Connection) -> str:
    """The credentials, read by the service-linked role. Raises Undeliverable, Unreached."""
    place: Place = connection.place
    try:
        answer = work.call(
            "secretsmanager",
            "GetSecretValue",
            role_arn=reading_role(place),
            source_arn=connection.arn,
            SecretId=connection.secret_arn,
        )
    except ServiceError as refusal:
        raise meaning_of(refusal) from refusal
    value: str = answer["SecretString"]
    return value


def _judge(answer: Answer) -> None:
    """Nothing for an answer that says the event was taken. Redirects are not followed: whoever answers one took nothing."""
    if 200 <= answer.status < 300:
        return
    said = f"The endpoint answered {answer.status}."
    if answer.status in AGAIN or answer.status >= 500:
        after_ms = _retry_after_ms(answer.headers.get("retry-after", ""))
        raise Unreached(THROTTLING if answer.status == 429 else "SDK_SERVER_ERROR", said, after_ms=after_ms)
    raise Undeliverable(NO_PERMISSIONS if answer.status == 403 else "SDK_CLIENT_ERROR", said)


def _retry_after_ms(text: str) -> int:
    """Milliseconds. A date is not looked at: the other clock may be wrong."""
    return min(int(text), LONGEST_WAIT_S) * 1000 if text.isascii() and text.isdigit() and len(text) < 10 else 0
