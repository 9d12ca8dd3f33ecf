"""How Config learns of changes: whatever writes is seen by the door, in its transaction."""

from dataclasses import dataclass
from typing import Final

from geumgo.context import Context, Params, Place
from geumgo.domain.arn import split_arn
from geumgo.sealing import Sealing
from geumgo.services.config import schedule, store, store_verdicts
from geumgo.services.config.records import PARAMETER, SECRET

WAIT_MS: Final = 1_000
"""Changes that follow each other within this time are looked at together."""

_CHANGES_PARAMETERS: Final = ("PutParameter", "DeleteParameter", "DeleteParameters")
_OFF: Final = ("off",)
_ON: Final = ("on",)


@dataclass(frozen=True, slots=True)
class ChangesWatch:
    """`context.Watcher`: joined by app."""

    sealing: Sealing

    def changed(self, ctx: Context, service: str, operation: str, params: Params, answer: Params) -> None:
        """A secret or a parameter that was changed will be looked at, if a recorder runs where it is."""
        kind = SECRET if service == "secretsmanager" else PARAMETER
        if kind == PARAMETER and (service != "ssm" or operation not in _CHANGES_PARAMETERS):
            return
        for named in _named(params, answer) if kind == SECRET else _names(params):
            parts = split_arn(named)
            place = ctx.place if parts is None else Place(parts.account, parts.region, ctx.place.partition)
            if self._is_watched(ctx, place):
                store_verdicts.touch(ctx.tx, place, kind, named)
                schedule.look(ctx.tx, place, ctx.clock.now_ms() + WAIT_MS)

    def _is_watched(self, ctx: Context, place: Place) -> bool:
        def look() -> tuple[str, ...]:
            found = store.recorder(ctx.tx, self.sealing, place)
            return _ON if found is not None and found.recording else _OFF

        return ctx.tx.derived(("config.watched", place), look) == _ON


def _named(params: Params, answer: Params) -> list[str]:
    """The secret that was changed: its ARN, or what the caller called it where the answer says nothing (tags)."""
    named = answer.get("ARN") or params.get("SecretId")
    return [named] if named else []


def _names(params: Params) -> list[str]:
    """The parameters that were changed, by name; one that was named by its ARN counts by its name."""
    named = params.get("Names") or [params.get("Name", "")]
    return [each.partition(":parameter")[2] or each for each in named if each]
