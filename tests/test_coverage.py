"""The page that says what is served."""

from types import ModuleType

import pytest

from geumgo.coverage import report, rooms
from geumgo.room import Access, Room, reads
from geumgo.services import kms  # any room will do to see that rooms are found


@reads
def get_caller_identity(ctx, params):
    return {}


@reads
def get_nothing(ctx, params):
    return {}


def room(service: str, **functions) -> Room:
    chapter = ModuleType("chapter")
    vars(chapter).update(functions)
    access = {name: Access(demands=lambda ctx, params: ()) for name in (f.__name__ for f in functions.values())}
    return Room(service, chapters=[chapter], access={camel(name): entry for name, entry in access.items()})


def camel(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))


def test_every_room_of_the_house_is_found_once():
    names = [found.service for found in rooms()]
    assert names == sorted(set(names))
    assert kms.ROOM.service in names


def test_the_page_counts_and_names_what_is_served_and_what_is_not():
    page = report([room("sts", get_caller_identity=get_caller_identity)])
    assert "| [AWS Security Token Service](#sts) | 1 | 11 |  |\n" in page
    assert "| GetCallerIdentity | yes |\n" in page
    assert "| AssumeRole |  |\n" in page


def test_the_page_is_the_same_whenever_rooms_and_models_are():
    one = room("sts", get_caller_identity=get_caller_identity)
    assert report([one]) == report([one])


def test_a_room_of_our_own_that_aws_has_not_is_left_out():
    assert "geumgo" not in report([room("geumgo", get_nothing=get_nothing)]).partition("botocore")[2]


def test_a_room_that_serves_what_its_model_does_not_have_is_an_error():
    with pytest.raises(ValueError, match="GetNothing"):
        report([room("sts", get_nothing=get_nothing)])
