"""From the names in a request to recorders and rules: once per call, for the gate and for the operation."""

from typing import Final

from geumgo.context import Context, Place
from geumgo.domain.arn import split_arn
from geumgo.sealing import random
from geumgo.services.config import store
from geumgo.services.config.errors import NoSuchConfigRule
from geumgo.services.config.records import Recorder, Rule

_LETTERS: Final = "abcdefghijklmnopqrstuvwxyz0123456789"


def recorder(ctx: Context) -> Recorder | None:
    """The recorder of the caller's place."""
    if "config.recorder" not in ctx.found:
        ctx.found["config.recorder"] = store.recorder(ctx.tx, ctx.sealing, ctx.place)
    found: Recorder | None = ctx.found["config.recorder"]
    return found


def find_rule(ctx: Context, name: str) -> Rule | None:
    key = ("config.rule", name)
    if key not in ctx.found:
        ctx.found[key] = store.rule_by_name(ctx.tx, ctx.sealing, ctx.place, name)
    found: Rule | None = ctx.found[key]
    return found


def rule(ctx: Context, name: str) -> Rule:
    """Raises NoSuchConfigRule."""
    found = find_rule(ctx, name)
    if found is None:
        raise NoSuchConfigRule(name)
    return found


def rule_by_arn(ctx: Context, arn: str) -> Rule | None:
    """The rule of the caller's place with exactly this ARN."""
    parts = split_arn(arn)
    if parts is None or parts.service != "config" or not parts.resource.startswith("config-rule/"):
        return None
    found = store.rule_by_id(ctx.tx, ctx.sealing, parts.resource.removeprefix("config-rule/"))
    return found if found is not None and found.arn == arn and found.account == ctx.place.account else None


def new_id(ctx: Context, prefix: str, length: int, name: str = "") -> str:
    """The id that the thing of this name, if this call makes it, will have."""
    made: str = ctx.found.setdefault(
        ("config.new", prefix, name), prefix + "".join(random.choice(_LETTERS) for _ in range(length))
    )
    return made


def place_of(owned: Recorder | Rule) -> Place:
    """The place that it belongs to."""
    return Place(owned.account, owned.region, owned.partition)
