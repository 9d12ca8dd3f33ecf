"""What a request was found to mean is kept only where nothing of it is a secret, and only for the very same words."""

import pytest

from geumgo.app.rooms import ROOMS
from geumgo.message import Request
from geumgo.protocol import Call, models
from geumgo.protocol.shapes import Shape
from geumgo.repeats import LONGEST, Meaning, Repeats

REPEATED = [(room.service, name) for room in ROOMS for name, each in room.operations.items() if each.access.repeats]


def asked(body: bytes = b'{"SecretId":"a"}', *more: tuple[bytes, bytes], method: str = "POST") -> Request:
    headers = ((b"host", b"h"), (b"x-amz-target", b"secretsmanager.GetSecretValue"), *more)
    return Request(method, b"/", headers, body, "192.0.2.7", False, "r", 0)


def meaning(**params: str) -> Meaning:
    model = models.load("secretsmanager")
    return Meaning(Call(model, model.operations["GetSecretValue"], "json"), params, params)


def holds_a_secret(shape: Shape) -> bool:
    return shape.sensitive or any(member.sensitive or holds_a_secret(member.shape) for member in shape.members.values())


@pytest.mark.parametrize(("service", "name"), REPEATED)
def test_no_secret_is_asked_with(service, name):
    taken = models.load(service).operations[name].input
    assert taken is not None
    assert not holds_a_secret(taken)


@pytest.mark.parametrize(("service", "name"), REPEATED)
def test_what_repeats_only_reads(service, name):
    [room] = [room for room in ROOMS if room.service == service]
    assert not room.operations[name].writes


def test_the_same_words_mean_the_same():
    repeats = Repeats(most=10)
    words = repeats.words(asked(), "secretsmanager")
    assert words is not None
    assert repeats.find(words) is None
    repeats.keep(words, meaning(SecretId="a"))
    assert repeats.find(repeats.words(asked(), "secretsmanager")) == meaning(SecretId="a")
    assert repeats.find(repeats.words(asked(b'{"SecretId":"b"}'), "secretsmanager")) is None
    assert repeats.find(repeats.words(asked(), "kms")) is None


@pytest.mark.parametrize(
    "request_",
    [
        asked(b"x" * (LONGEST + 1)),
        asked(b"{}", (b"x-amz-target", b"secretsmanager.DescribeSecret")),
        asked(b"{}", (b"smithy-protocol", b"rpc-v2-cbor")),
        asked(b"{}", method="GET"),
        Request("POST", b"/", ((b"host", b"h"),), b"{}", "192.0.2.7", False, "r", 0),
    ],
)
def test_what_could_mean_more_is_looked_at_each_time(request_):
    assert Repeats(most=10).words(request_, "secretsmanager") is None


def test_the_oldest_goes_first():
    repeats = Repeats(most=2)
    every = [repeats.words(asked(b'{"SecretId":"%d"}' % number), "secretsmanager") for number in range(3)]
    for number, words in enumerate(every):
        assert words is not None
        repeats.keep(words, meaning(SecretId=str(number)))
    assert [repeats.find(words) is not None for words in every] == [False, True, True]
