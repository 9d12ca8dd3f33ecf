"""Deliveries: an event is brought to one target, again and again until it is there, or nobody would want it any more.

A delivery is a row; each try of it is a job. A try that succeeds ends in the transaction that removes the row. A server that dies in
between tries once more: at least once, never not at all. Receivers know a repetition by its key.

Source: "How EventBridge retries delivering events" and "Using dead-letter queues", user guide.
"""

import json
from collections.abc import Callable, Mapping
from typing import Final
from uuid import NAMESPACE_URL, uuid5

import structlog

from geumgo.access.demand import Demand, Target
from geumgo.access.gate import as_principal
from geumgo.context import Caller, Params, Place, Work
from geumgo.domain.arn import parse_arn
from geumgo.domain.input_template import Occasion
from geumgo.domain.policy import Asked, PolicyKind, Standing, compile_policy, decide
from geumgo.domain.policy import Context as Conditions
from geumgo.errors import ServiceError
from geumgo.jobs import TryLater
from geumgo.outbound import Outbound
from geumgo.services.events import domain, lookup, matching, store, store_deliveries
from geumgo.services.events.domain_input import as_json, as_line, dumped, input_of
from geumgo.services.events.domain_targets import age_ms_of, attempts_of, kind_of, log_group
from geumgo.services.events.failures import NO_PERMISSIONS, NO_RESOURCE, TIMEOUT, Undeliverable, Unreached, meaning_of
from geumgo.services.events.keeping import keep
from geumgo.services.events.log_files import LogFiles
from geumgo.services.events.records import Bus, Delivery, Listener, Rule
from geumgo.services.events.webhooks import Webhooks
from geumgo.storage import Tx

log = structlog.get_logger("geumgo.events")

Afterwards = Callable[[Tx], None]
_EVERYTHING: Final = compile_policy(
    '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}', PolicyKind.IDENTITY
)


class Carrier:
    """Brings events to their targets. What it needs of the world outside is given by app."""

    def __init__(self, outbound: Outbound, logs: LogFiles) -> None:
        self._webhooks = Webhooks(outbound)
        self._logs = logs

    def jobs(self) -> dict[str, Callable[[Work, Params], None]]:
        """The jobs of the room that reach outside, by kind."""
        return {"events.deliver": self.deliver, "events.authorize": self._webhooks.authorize}

    def deliver(self, work: Work, payload: Params) -> None:
        """One try. A target or rule that was removed meanwhile is sent nothing."""
        found = _find(work, payload["delivery"])
        if found is None:
            with work.finishing() as tx:
                store_deliveries.remove(tx, payload["delivery"])
            return
        rule, target, delivery = found
        try:
            afterwards = self._bring(work, rule, target, delivery)
        except TryLater:
            if work.clock.now_ms() <= delivery.ingested_at_ms + age_ms_of(target.document):
                raise
            why = "The endpoint was not to be called before the event was too old."
            self._give_up(work, rule, target, delivery, TIMEOUT, why, exhausted="MaximumEventAgeInSeconds")
        except Undeliverable as fault:
            self._give_up(work, rule, target, delivery, fault.code, str(fault), exhausted=None)
        except Unreached as fault:
            self._try_again(work, rule, target, delivery, fault)
        else:

            def arrived(tx: Tx) -> None:
                afterwards(tx)
                store_deliveries.remove(tx, delivery.id)

            keep(work.finishing, arrived)

    def _bring(self, work: Work, rule: Rule, target: Listener, delivery: Delivery) -> Afterwards:
        """It is there, or is when the answer has been called in the last transaction of the job."""
        kind = kind_of(parse_arn(target.arn))
        if kind == "bus":
            return self._forward(work, rule, target, delivery)
        text = _input(rule, target, delivery)
        if kind == "lambda":
            _invoke(work, rule, target, text)
        elif kind == "automation":
            _automate(work, rule, target, delivery, text)
        elif kind == "log":
            self._append(work.place, target.arn, as_line(text))
        elif kind == "api":
            key = domain.idempotency_key(delivery.event, delivery.id)
            self._webhooks.send(
                work, rule_arn=rule.arn, target=target.document, event=delivery.event, text=text, key=key
            )
        else:
            raise Undeliverable(NO_RESOURCE, f"{target.arn} is no target of a kind that is served here.")
        return _nothing_more

    # -- targets ------------------------------------------------------------------------------------------------------

    def _append(self, place: Place, arn: str, line: str) -> None:
        group = log_group(parse_arn(arn))
        assert group is not None, "a log group was looked at when it was kept"
        try:
            self._logs.append(place, group, line)
        except OSError as fault:
            raise Unreached("INTERNAL_ERROR", f"The log group cannot be written to: {fault.strerror}.") from fault

    def _forward(self, work: Work, rule: Rule, target: Listener, delivery: Delivery) -> Afterwards:
        """The event goes on to another bus as it is, in the transaction in which its delivery ends: exactly once."""
        if delivery.hops >= domain.MOST_HOPS:
            raise Undeliverable("TOO_MANY_HOPS", f"The event was forwarded {delivery.hops} times; it goes in a circle.")
        arn = parse_arn(target.arn)
        place = Place(arn.account, arn.region, work.place.partition)
        with work.storage.reading() as tx:
            bus = store.find_bus(tx, work.sealing, place, arn.resource_id)
        if bus is None:
            raise Undeliverable(NO_RESOURCE, "The event bus does not exist.")
        _may_forward(work, rule, target, bus, delivery)
        now_ms = work.clock.now_ms()
        return lambda tx: matching.spread(
            tx, work.sealing, place, bus.name, delivery.event, now_ms, hops=delivery.hops + 1
        )

    # -- what went wrong ----------------------------------------------------------------------------------------------

    def _try_again(self, work: Work, rule: Rule, target: Listener, delivery: Delivery, fault: Unreached) -> None:
        failed = delivery.attempts + 1
        run_at_ms = work.clock.now_ms() + max(domain.wait_ms(delivery.id, failed), fault.after_ms)
        exhausted = None
        if failed > attempts_of(target.document):
            exhausted = "MaximumRetryAttempts"
        elif run_at_ms > delivery.ingested_at_ms + age_ms_of(target.document):
            exhausted = "MaximumEventAgeInSeconds"
        if exhausted is not None:
            self._give_up(work, rule, target, delivery, fault.code, str(fault), exhausted=exhausted)
            return

        def again(tx: Tx) -> None:
            store_deliveries.failed(tx, delivery.id)
            matching.promise_attempt(tx, work.place, delivery.id, target.arn, run_at_ms)

        keep(work.finishing, again)

    def _give_up(
        self,
        work: Work,
        rule: Rule,
        target: Listener,
        delivery: Delivery,
        code: str,
        why: str,
        *,
        exhausted: str | None,
    ) -> None:
        """The event is kept as a dead letter, where the target names a place for it; else the server's log says that it is lost."""
        letter = {
            "RULE_ARN": rule.arn,
            "TARGET_ARN": target.arn,
            "ERROR_CODE": code,
            "ERROR_MESSAGE": why,
            "RETRY_ATTEMPTS": delivery.attempts,
            **({"EXHAUSTED_RETRY_CONDITION": exhausted} if exhausted is not None else {}),
        }
        place = target.document.get("DeadLetterConfig", {}).get("Arn")
        if place is not None:
            try:
                self._append(work.place, place, dumped({"attributes": letter, "event": delivery.event}))
            except Unreached as fault:
                raise OSError(str(fault)) from fault  # the job is tried again by the worker
        log.warning(
            "event not delivered",
            rule=rule.arn,
            target=target.arn,
            event_id=delivery.event.get("id"),
            code=code,
            why=why,
            next=f"kept in {place}" if place is not None else "dropped: the target has no DeadLetterConfig",
        )
        keep(work.finishing, lambda tx: store_deliveries.remove(tx, delivery.id))


def _find(work: Work, delivery_id: str) -> tuple[Rule, Listener, Delivery] | None:
    """The delivery with its rule and target; None if one of them is gone."""
    with work.storage.reading() as tx:
        delivery = store_deliveries.find(tx, work.sealing, work.place, delivery_id)
        if delivery is None:
            return None
        rule = store.find_rule(tx, work.sealing, work.place, delivery.bus, delivery.rule)
        if rule is None:
            return None
        target = store.find_target(tx, work.sealing, rule, delivery.target)
        return None if target is None else (rule, target, delivery)


def _nothing_more(tx: Tx) -> None:
    """Everything was done outside."""


def _input(rule: Rule, target: Listener, delivery: Delivery) -> str:
    occasion = Occasion(rule.arn, rule.name, domain.event_time(delivery.ingested_at_ms))
    return input_of(target.document, delivery.event, occasion)


def _invoke(work: Work, rule: Rule, target: Listener, text: str) -> None:
    """The function has the event in its queue. Source: "Using resource-based policies for EventBridge" (the rule is aws:SourceArn)."""
    ask(
        work,
        "lambda",
        "Invoke",
        source_arn=rule.arn,
        role_arn=target.role_arn,
        FunctionName=target.arn,
        InvocationType="Event",
        Payload=as_json(text).encode(),
    )


def _automate(work: Work, rule: Rule, target: Listener, delivery: Delivery, text: str) -> None:
    """The document is executed, once for this delivery. Its parameters are the members of the input, each a text or a list of texts.

    Source: "Systems Manager Automation" as a target, EventBridge User Guide.
    """
    name, _, version = parse_arn(target.arn).resource.partition("/")[2].partition(":")
    ask(
        work,
        "ssm",
        "StartAutomationExecution",
        source_arn=rule.arn,
        role_arn=target.role_arn,
        DocumentName=name,
        DocumentVersion=version or "$DEFAULT",
        Parameters=automation_parameters(text),
        ClientToken=str(uuid5(NAMESPACE_URL, f"{delivery.id}/{target.arn}")),
    )


def automation_parameters(text: str) -> dict[str, list[str]]:
    """Raises Undeliverable unless the input is an object of texts, or of lists of texts."""
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise Undeliverable("INVALID_PARAMETER", "The input of an automation is an object of its parameters.")
    parameters = {name: value if isinstance(value, list) else [value] for name, value in found.items()}
    if not all(isinstance(each, str) for values in parameters.values() for each in values):
        raise Undeliverable("INVALID_PARAMETER", "Each parameter of an automation is a text, or a list of texts.")
    return parameters


def ask(
    work: Work, service: str, operation: str, *, source_arn: str, role_arn: str = "", **params: object
) -> Mapping[str, object]:
    """What `service` answers. Raises Undeliverable or Unreached."""
    try:
        return work.call(service, operation, source_arn=source_arn, role_arn=role_arn, **params)
    except ServiceError as refusal:
        raise meaning_of(refusal) from refusal


def may(work: Work, demand: Demand, *, source_arn: str, role_arn: str) -> None:
    """Raises Undeliverable unless the role may."""
    try:
        work.check((demand,), source_arn=source_arn, role_arn=role_arn)
    except ServiceError as refusal:
        raise meaning_of(refusal) from refusal


def _may_forward(work: Work, rule: Rule, target: Listener, bus: Bus, delivery: Delivery) -> None:
    """Raises Undeliverable unless the target's role, or without one the rule's account, may put events on the bus.

    Source: "Sending and receiving events between accounts", user guide.
    """
    mine = bus.place.account == rule.place.account
    policy = lookup.policy_of(bus)
    keys = {
        "events:source": (str(delivery.event.get("source")),),
        "events:detail-type": (str(delivery.event.get("detail-type")),),
        "events:eventBusInvocation": ("true",),
    }
    if target.role_arn:
        to = Target(bus.arn, bus.arn, bus.place.account, policy, tags=bus.tags if mine else {})
        may(work, Demand("events:PutEvents", to, keys), source_arn=rule.arn, role_arn=target.role_arn)
        return
    account = rule.place.account
    root = Caller(
        kind="Root", account=account, arn=f"arn:{rule.place.partition}:iam::{account}:root", unique_id=account
    )
    asked = Asked(
        as_principal(root),
        "events:PutEvents",
        bus.arn,
        bus.place.account,
        Conditions({**keys, "aws:SourceArn": (rule.arn,), "aws:SourceAccount": (account,)}),
    )
    if not decide(asked, Standing(identity=(_EVERYTHING,), resource=policy)).allowed:
        raise Undeliverable(NO_PERMISSIONS, "The policy of the event bus does not let this account put events on it.")
