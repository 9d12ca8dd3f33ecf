"""Decisions that were made before, kept with a demand for as long as the demand itself is kept (see storage.derived).

A decision follows from the caller, the demand, the caller's own policies, and those conditions of the request that some policy asked for.
While a demand is kept nothing has been committed, so the policies are the same; the caller must be the very same object, which is kept
under the same mark; and what was asked of the request must be the same. Then so is the decision.

Only permissions are kept: a denial is made anew, with all that is told about it.
"""

from typing import Final

from geumgo.access.demand import Demand, Known
from geumgo.context import Context
from geumgo.domain import policy

MOST_CALLERS: Final = 64  # of one demand; then it begins anew


def is_permitted(ctx: Context, demand: Demand) -> bool:
    """Whether this very demand is known to be allowed to this very caller under these conditions. False: it is not known."""
    known = demand.permitted.get(id(ctx.caller)) if demand.permitted is not None else None
    if known is None:
        return False
    caller, names, asked = known
    conditions = ctx.conditions
    if caller is not ctx.caller or names != tuple(conditions):
        return False
    for name, values in asked:  # noqa: SIM110  (the hot path: a generator costs as much as a comparison)
        if conditions[name] != values:
            return False
    return True


def remember(ctx: Context, demand: Demand, context: policy.Context) -> None:
    """The demand was allowed to the caller, and `context` is what was looked at for it."""
    permitted = demand.permitted
    if permitted is None:
        return
    if len(permitted) >= MOST_CALLERS:
        permitted.clear()
    asked = tuple((name, values) for name, values in ctx.conditions.items() if name.lower() in context.asked)
    known: Known = (ctx.caller, tuple(ctx.conditions), asked)
    permitted[id(ctx.caller)] = known
