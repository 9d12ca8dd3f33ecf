"""What of AWS is served: `python -m geumgo.coverage` writes docs/coverage.md, from the models and from what the rooms register."""

import importlib
import pkgutil
import sys
from collections.abc import Iterator, Sequence
from importlib.metadata import version

from geumgo import services
from geumgo.protocol import ServiceModel, models
from geumgo.room import Room

_HEAD = """# Coverage

Which operations of AWS are served. An operation is there with AWS's validation, authorization, errors and paging, or it is
absent and answered with the refusal that AWS gives to an operation it does not know.

Written by `make coverage` from the service models of botocore {botocore}, and from what the rooms register. Not to be edited.

"""


def rooms() -> list[Room]:
    """Every room in the house, by the name of its service."""
    found = []
    for package in pkgutil.iter_modules(services.__path__):
        room = getattr(importlib.import_module(f"{services.__name__}.{package.name}"), "ROOM", None)
        if isinstance(room, Room):
            found.append(room)
    return sorted(found, key=lambda room: room.service)


def report(several: Sequence[Room]) -> str:
    """The page, the same whenever rooms and models are.

    Raises:
        ValueError: a room serves an operation that its model does not have.

    """
    described = [(room, model) for room in several if (model := _model(room)) is not None]
    out = [_HEAD.format(botocore=version("botocore")), "| Service | Served | Operations | |\n|---|---:|---:|---|\n"]
    for room, model in described:
        served, all_of_it = len(room.operations), len(model.operations)
        share = "all" if served == all_of_it else ""
        out.append(f"| [{model.full_name}](#{room.service}) | {served} | {all_of_it} | {share} |\n")
    for room, model in described:
        out += _chapter(room, model)
    return "".join(out)


def _model(room: Room) -> ServiceModel | None:
    """The model of what a room serves, None for a room of our own that AWS has not."""
    try:
        return None if models.is_own(room.service) else models.load(room.service)
    except models.UnknownService:
        return None


def _chapter(room: Room, model: ServiceModel) -> Iterator[str]:
    strange = set(room.operations) - set(model.operations)
    if strange:
        raise ValueError(f"{room.service} serves what its model does not have: {', '.join(sorted(strange))}")
    yield f"\n## {room.service}\n\n"
    yield f"{model.full_name}, API version {model.api_version}, {len(room.operations)} of {len(model.operations)}.\n\n"
    yield "| Operation | Served |\n|---|---|\n"
    for name in sorted(model.operations):
        yield f"| {name} | {'yes' if name in room.operations else ''} |\n"


if __name__ == "__main__":
    sys.stdout.write(report(rooms()))
