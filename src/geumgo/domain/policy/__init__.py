"""AWS's policy language, whole and pure: a document becomes a `Policy`, a question and what stands around it become a `Decision`."""

from geumgo.domain.policy.evaluate import Decision, Reason, Standing, decide, denial_tail, explicit_denial
from geumgo.domain.policy.match import Policy, Statement
from geumgo.domain.policy.model import (
    Asked,
    Context,
    LazyValues,
    MalformedPolicy,
    PolicyKind,
    PolicyPrincipal,
    PrincipalKind,
    Values,
)
from geumgo.domain.policy.parse import compile_policy

__all__ = [
    "Asked",
    "Context",
    "Decision",
    "LazyValues",
    "MalformedPolicy",
    "Policy",
    "PolicyKind",
    "PolicyPrincipal",
    "PrincipalKind",
    "Reason",
    "Standing",
    "Statement",
    "Values",
    "compile_policy",
    "decide",
    "denial_tail",
    "explicit_denial",
]
