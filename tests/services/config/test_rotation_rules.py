"""The rules on rotation, over secrets that really rotate, or fail to."""

import json
from dataclasses import dataclass
from typing import Any

import pytest

from tests.clock import DAY_MS
from tests.services.config.conftest import Watched
from tests.services.secretsmanager.functions import Functions, Template, join

ENABLED = "SECRETSMANAGER_ROTATION_ENABLED_CHECK"
SUCCESS = "SECRETSMANAGER_SCHEDULED_ROTATION_SUCCESS_CHECK"
PERIODIC = "SECRETSMANAGER_SECRET_PERIODIC_ROTATION"

EVENING_MS = DAY_MS * 3 // 4
"""A time of day at which whatever rotates on this day has begun: it does so in the first half of its window."""


@dataclass
class Rotating:
    """A watched place with one secret, db, and a function that rotates it unless it is `broken`."""

    place: Watched
    function: str
    broken: bool = False

    def rotate(self, days: int) -> None:
        rules = {"AutomaticallyAfterDays": days}
        self.place.secrets.rotate_secret(SecretId="db", RotationLambdaARN=self.function, RotationRules=rules)
        self.later()

    def later(self, ms: int = 2_000) -> None:
        """Time passes; whatever is due then has run, and what follows from it a moment later."""
        for each in (ms, 2_000, 2_000):
            self.place.house.clock.turn(ms=each)
            self.place.house.run_jobs()


@pytest.fixture
def rotating(place: Watched) -> Rotating:
    house = place.house
    house.clock.turn(ms=(EVENING_MS - house.clock.now_ms()) % DAY_MS)
    place.secrets.create_secret(Name="db", SecretString=json.dumps({"username": "app", "password": "old"}))
    functions: Functions = join(house)
    template = Template(house, house.admin, {"app": "old"})

    def body(event: dict[str, str]) -> Any:
        if made.broken:
            raise OSError("the database is away")
        return template(event)

    made = Rotating(place, functions.add("rotates", body))
    return made


def test_rotation_must_be_enabled_and_often_enough(rotating: Rotating) -> None:
    place = rotating.place
    place.rule(ENABLED, parameters={"maximumAllowedRotationFrequency": "30"})
    rotating.later()
    assert place.verdicts() == {"db": "NON_COMPLIANT"}
    rotating.rotate(days=30)
    assert place.verdicts() == {"db": "COMPLIANT"}
    rotating.rotate(days=31)
    assert place.verdicts() == {"db": "NON_COMPLIANT"}
    rotating.rotate(days=7)
    assert place.verdicts() == {"db": "COMPLIANT"}
    place.secrets.cancel_rotate_secret(SecretId="db")
    rotating.later()
    assert place.verdicts() == {"db": "NON_COMPLIANT"}


def test_a_rotation_that_is_due_must_happen(rotating: Rotating) -> None:
    place = rotating.place
    place.rule(SUCCESS)
    rotating.later()
    assert place.verdicts() == {}, "it does not rotate by itself"
    rotating.rotate(days=1)
    assert place.verdicts() == {"db": "COMPLIANT"}
    rotating.later(2 * DAY_MS)
    assert place.verdicts() == {"db": "COMPLIANT"}
    rotating.broken = True
    for _ in range(3):
        rotating.later(DAY_MS)
    assert place.verdicts() == {"db": "NON_COMPLIANT"}
    rotating.broken = False
    for _ in range(2):
        rotating.later(DAY_MS)
    assert place.verdicts() == {"db": "COMPLIANT"}


def test_the_last_rotation_must_not_be_long_ago(rotating: Rotating) -> None:
    place = rotating.place
    place.rule(PERIODIC, parameters={"maxDaysSinceRotation": "7"})
    rotating.rotate(days=5)
    assert place.verdicts() == {"db": "COMPLIANT"}
    for _ in range(12):  # it rotates meanwhile
        rotating.later(DAY_MS)
        assert place.verdicts() == {"db": "COMPLIANT"}
    place.secrets.cancel_rotate_secret(SecretId="db")
    rotating.later(9 * DAY_MS)
    assert place.verdicts() == {"db": "NON_COMPLIANT"}
