"""Policies of parameters at work: a parameter goes when its time is over, and notifications are sent.

One job for each parameter that has something to wait for. It says nothing but which parameter; what is due is decided from the rows when
it runs, however late that is.
"""

from dataclasses import replace
from functools import partial
from typing import Final

from geumgo.context import Params, Place, Work
from geumgo.jobs import promise, withdraw
from geumgo.room import job
from geumgo.sealing import Sealing
from geumgo.services.ssm import changes, domain_policies, store
from geumgo.services.ssm.changes import Publish
from geumgo.services.ssm.domain_policies import EXPIRATION, EXPIRATION_NOTIFICATION, NO_CHANGE
from geumgo.services.ssm.records import FINISHED, Parameter, Policy
from geumgo.storage import Tx

APPLY: Final = "ssm.apply_policies"
ACTION: Final = "Parameter Store Policy Action"

_REASONS: Final = {
    EXPIRATION: "The parameter has expired and was deleted.",
    EXPIRATION_NOTIFICATION: "The parameter is about to expire.",
    NO_CHANGE: "The parameter has not been changed for the period that the policy names.",
}


def _dedup(parameter: Parameter) -> str:
    return f"{APPLY}:{parameter.id}"


def plan(tx: Tx, parameter: Parameter) -> None:
    """The job runs when the next policy is due, and at no other time."""
    forget(tx, parameter)
    due_ms = domain_policies.next_due_ms(parameter.policies, parameter.changed_at_ms)
    if due_ms is not None:
        dedup = _dedup(parameter)
        place = Place(parameter.account, parameter.region, parameter.partition)
        promise(tx, APPLY, place, {"id": parameter.id}, run_at_ms=due_ms, lock=dedup, dedup=dedup)


def forget(tx: Tx, parameter: Parameter) -> None:
    """Nothing waits for this parameter any more."""
    withdraw(tx, _dedup(parameter))


@job(APPLY)
def apply_policies(work: Work, payload: Params) -> None:
    """What is due has happened, once: notifications are sent, and the parameter is gone if its time is over."""
    with work.finishing() as tx:
        parameter = store.find_by_id(tx, work.sealing, payload["id"])
        if parameter is None:
            return
        publish = partial(work.publish, tx)
        now_ms = work.clock.now_ms()
        after = _notify(tx, work.sealing, parameter, publish, now_ms)
        if after.expires_at_ms is not None and after.expires_at_ms <= now_ms:
            work.event("ExpireParameter", name=after.name, resource=after.arn)
            expire(tx, work.sealing, after, publish)
            return
        if after != parameter:
            store.save(tx, work.sealing, after)
        plan(tx, after)


def _notify(tx: Tx, sealing: Sealing, parameter: Parameter, publish: Publish, now_ms: int) -> Parameter:
    """The parameter after every notification that is due has been sent."""
    kept: list[Policy] = []
    for policy in parameter.policies:
        due_ms = domain_policies.due_at_ms(policy, parameter.policies, parameter.changed_at_ms)
        said = domain_policies.said_by(policy)
        if due_ms is None or due_ms > now_ms or said.kind == EXPIRATION:
            kept.append(policy)
            continue
        _tell(tx, sealing, parameter, publish, policy, said.kind)
        kept.append(replace(policy, status=FINISHED))
    return replace(parameter, policies=tuple(kept))


def expire(tx: Tx, sealing: Sealing, parameter: Parameter, publish: Publish) -> None:
    """The parameter, whose time is over, is gone; both events say so."""
    version = changes.newest(tx, sealing, parameter)
    for policy in parameter.policies:
        if domain_policies.said_by(policy).kind == EXPIRATION:
            _tell(tx, sealing, parameter, publish, policy, EXPIRATION)
    forget(tx, parameter)
    store.remove(tx, parameter)
    changes.tell(publish, parameter, "Delete", version.kind, version.description)


def _tell(tx: Tx, sealing: Sealing, parameter: Parameter, publish: Publish, policy: Policy, kind: str) -> None:
    """The event of a policy that was applied.

    Source: "Setting up notifications ... based on Parameter Store events", user guide (parameter-name, policy-type). Unverified: the
    other members, and the words in them.
    """
    detail: Params = {
        "parameter-name": parameter.name,
        "parameter-type": changes.newest(tx, sealing, parameter).kind,
        "policy-type": kind,
        "policy-content": policy.text,
        "action-status": "Success",
        "action-reason": _REASONS[kind],
    }
    publish(changes.SOURCE, ACTION, [parameter.arn], detail)
