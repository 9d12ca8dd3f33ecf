"""What an operation asks the gate for: which action, on what, under which circumstances."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from geumgo.context import Caller
from geumgo.domain.policy import Policy

Keys = Mapping[str, tuple[str, ...]]
"""Condition keys with their values, names in AWS's spelling. A key that the request does not carry is absent, never empty."""

Known = tuple[Caller, tuple[str, ...], tuple[tuple[str, tuple[str, ...]], ...]]
"""A caller, the names of the conditions that his request had, and those of them that were looked at with their values."""


@dataclass(frozen=True, slots=True)
class Target:
    """The thing that an action would touch.

    `arn` is what policies are matched against: the full ARN if the thing exists, the ARN that it would have otherwise. `shown` is how a
    denial names it (the full ARN if found, else the text exactly as sent); None leaves the resource out of the sentence. `account` owns
    the thing. `policy` is the policy attached to it. `rule` says what that policy means: with "either" an allow from identity or
    resource policy is enough inside an account; with "required" (KMS key policies, role trust policies) the resource's policy must allow,
    itself or by delegating to the account. `grant` is the id of a KMS grant that permits this very request, or None.
    """

    arn: str
    shown: str | None
    account: str
    policy: Policy | None = None
    rule: Literal["either", "required"] = "either"
    tags: Mapping[str, str] = field(default_factory=dict)
    grant: str | None = None


@dataclass(frozen=True, slots=True)
class Demand:
    """One permission that an operation needs. `target` None: the action knows no resources, policies are matched against `*`.

    `permitted` is for a demand that is kept (see storage.derived): a dict in which the gate remembers whom it has allowed this, see
    access.known. None: the demand is for one request.
    """

    action: str
    target: Target | None = None
    keys: Keys = field(default_factory=dict)
    permitted: dict[int, Known] | None = field(default=None, compare=False, repr=False)


Demands = Sequence[Demand]
