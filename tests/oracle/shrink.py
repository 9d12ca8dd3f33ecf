"""A world made smaller for as long as two evaluators still disagree about it, so that a person can read it."""

from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any

World = dict[str, Any]
MOST_ROUNDS = 200


def shrunk(world: World, still_disagree: Callable[[World], bool]) -> World:
    """The smallest world found by taking away one policy, statement, condition, value or key at a time."""
    for _ in range(MOST_ROUNDS):
        smaller = next((candidate for candidate in _smaller(world) if still_disagree(candidate)), None)
        if smaller is None:
            return world
        world = smaller
    return world


def _smaller(world: World) -> Iterator[World]:
    for name in ("boundary", "session", "resource_policy", "grant"):
        if world[name] is not None:
            yield {**world, name: None}
    for name in ("service_control", "resource_control", "identity"):
        if world[name]:
            yield {**world, name: []}
    yield from _without_one_part(world, world, ())


def _without_one_part(world: World, part: Any, path: tuple[Any, ...]) -> Iterator[World]:
    """Every member of a list with several, every condition and every request key, each left out once."""
    entries = list(part.items()) if isinstance(part, dict) else list(enumerate(part)) if isinstance(part, list) else []
    for place, inner in entries:
        here = (*path, place)
        droppable = (isinstance(part, list) and len(part) > 1) or place == "Condition" or path[-1:] == ("context",)
        droppable = droppable or ("Condition" in path and len(part) > 1)
        if droppable:
            yield _without(world, here)
        if place != "principal":
            yield from _without_one_part(world, inner, here)


def _without(world: World, path: tuple[Any, ...]) -> World:
    copy = deepcopy(world)
    part: Any = copy
    for place in path[:-1]:
        part = part[place]
    del part[path[-1]]
    return copy
