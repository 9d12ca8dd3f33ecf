"""What a read does when it comes again, word for word, and no row that it looked at has changed: its course.

Who asks is found out as ever, and that he may. Then only what must be done anew is done: the value is opened, and the calls are noted that
were noted before. The rest follows from the words of the request and from rows (what it means, what is found, what the gate is asked,
which services are asked), so it holds for as long as these rows stand.

A course is kept of a read that asked the database nothing: all that it saw was kept already (see `storage.derived`), and the course goes
with the first of these things that a change concerns. Whether somebody may take it was decided by the gate, for this very caller under the
conditions that requests like his have in common; where a policy asked for the time it is decided each time.
"""

from collections.abc import Callable, Hashable, Sequence
from typing import Any, Final, NamedTuple

from geumgo import protocol
from geumgo.audit.form import Form, Said, is_record, put_together
from geumgo.context import Again, Caller
from geumgo.ledger import Ledger
from geumgo.message import Answer
from geumgo.storage.derived import Derived
from geumgo.turn import TIMES, Turn, said_by

Asked = tuple[Hashable, ...]
"""The words of a request; or what a room asked of itself: service, operation, parameters with their values."""
Kept = Callable[[Hashable], Any]
MOST_PERMITS: Final = 32  # of one course; then it begins anew


class Permit(NamedTuple):
    """Somebody who may take a course: the gate allowed him all of its demands, under conditions that hold for requests like this one.

    `forms` are those of the records that the course leaves.
    """

    caller: Caller
    claimed_key: str
    conditions: dict[str, tuple[str, ...]]
    forms: tuple[Form, ...]


class Course(NamedTuple):
    """`again` is how the answer is had. `says` are the parts of its records that do not depend on who asks, in their order.

    Of a request: `call` is what it means, `answer` makes its whole answer from what `again` opens and a request id.
    """

    again: Again
    says: tuple[Said, ...]
    permits: dict[tuple[int, int], Permit]
    call: protocol.Call | None
    answer: Callable[[Any, str], Answer] | None


class Courses:
    """The courses that one process keeps, among what it has derived. Not for several threads."""

    def __init__(self, derived: Derived, ledger: Ledger) -> None:
        self._derived, self._ledger = derived, ledger

    def find(self, turn: Turn, words: Asked, now_ms: int, kept: Kept | None = None) -> tuple[Course, Permit] | None:
        """The course of a request, or of what it asks for, if its caller may take it now. `kept`: that of an open transaction."""
        caller = turn.caller
        course: Course | None = (kept or self._derived.kept)(("course", words, caller.account, turn.region))
        if course is None or now_ms >= course.again.until_ms:
            return None
        these = id(caller), id(said_by(turn.request, turn.region))
        permit = course.permits.get(these)  # it holds both objects, so that no others have their ids
        return None if permit is None or permit.claimed_key != turn.claimed_key else (course, permit)

    def keep(
        self,
        turn: Turn,
        words: Asked,
        steps: Sequence[Turn],
        again: Again,
        now_ms: int,
        *,
        call: protocol.Call | None = None,
        since: int = 0,
    ) -> None:
        """The course that `steps` of `turn` have just taken is kept, and that its caller may take it; if all of it can be kept.

        Whoever calls this has asked the database nothing for this turn, and has touched what is kept from `since` on. `call`: of a request.
        """
        if now_ms >= again.until_ms or not all(map(_is_known, steps)):
            return
        key = ("course", words, turn.caller.account, turn.region)
        course: Course | None = self._derived.entries.get(key)
        if course is None or now_ms >= course.again.until_ms:
            says = tuple(said for step in steps if (said := self._ledger.said(step)) is not None)
            answer = None if call is None else protocol.alike(call, again.fixed, again.member)
            course = Course(again, says, {}, call, answer)
        forms = tuple(self._ledger.form(step) for step in steps)
        if len(course.says) != len(forms) or not all(map(_is_record, forms, course.says)):
            return
        if not course.permits and not self._derived.keep_upon(key, course, since=since):
            return
        if len(course.permits) >= MOST_PERMITS:
            course.permits.clear()
        conditions = said_by(turn.request, turn.region)
        permit = Permit(turn.caller, turn.claimed_key, conditions, forms)
        course.permits[id(turn.caller), id(conditions)] = permit


def _is_record(form: Form, said: Said) -> bool:
    return is_record(put_together(form, said, "", 0))


def _is_known(step: Turn) -> bool:
    """Whether all that `step` demanded is known to be permitted, whatever the time."""
    for demand in step.demands:
        known = demand.permitted.get(id(step.caller)) if demand.permitted is not None else None
        if known is None or any(name in TIMES for name, _ in known[2]):
            return False
    return bool(step.demands)
