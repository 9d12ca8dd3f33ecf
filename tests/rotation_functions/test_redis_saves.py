"""A password that Redis has is one that it still has after a restart, wherever the function died."""

import uuid
from collections.abc import Iterator

import pytest

from geumgo.rotation_functions import redis
from geumgo.rotation_functions.steps import single_user
from tests.mortal import Mortal
from tests.rotation_functions.rotating import STEPS, Rotating, Strategy, event
from tests.rotation_functions.servers import CHIEF, mortal_redis
from tests.rotation_functions.targets import redis_target
from tests.server import Server


class Dead(Exception):
    """The function was killed."""


def dies(_connection: redis.Connection) -> None:
    raise Dead


@pytest.fixture
def database() -> Iterator[tuple[int, Mortal]]:
    with mortal_redis() as (port, _, mortal):
        yield port, mortal


@pytest.mark.parametrize("by_master", [True, False], ids=["set by a master", "set by itself"])
def test_a_password_that_was_set_before_a_crash_and_not_saved_is_saved_by_the_next_try(
    geumgo: Server,
    database: tuple[int, Mortal],
    function_environment: None,
    monkeypatch: pytest.MonkeyPatch,
    strategy: Strategy,
    by_master: bool,
) -> None:
    port, mortal = database
    rotating = Rotating(geumgo.client("secretsmanager"), redis_target(port))
    if by_master:
        arn = rotating.secret("first", masterarn=rotating.keep(*CHIEF))
    elif strategy is single_user:
        arn = rotating.keep(rotating.target.new_master("first"), "first")  # who may do it himself
    else:
        pytest.skip("alternating users have a master always")
    handler, token = strategy(rotating.target.module), str(uuid.uuid4())
    rotating.create(arn, token, strategy)
    with monkeypatch.context() as patch:
        patch.setattr(redis, "keep", dies)
        with pytest.raises(Dead):
            handler(event(arn, token, "setSecret"), None)
    assert rotating.target.logs_in(rotating.value(arn, "AWSPENDING"))
    for step in STEPS[1:]:
        handler(event(arn, token, step), None)
    mortal.kill()
    mortal.start()
    assert rotating.target.logs_in(rotating.value(arn, "AWSCURRENT"))
