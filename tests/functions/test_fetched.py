"""What a function is told by the server is learned as it passes by."""

import json

import pytest

from geumgo.functions import names
from geumgo.functions.fetched import Answers, learn
from geumgo.functions.journal import MOST, Journal


def http(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body


@pytest.mark.parametrize("step", [1, 7, 1000])
def test_answers_are_found_however_they_are_cut(step: int) -> None:
    stream = b"HTTP/1.1 100 Continue\r\n\r\n" + http(b'{"a":1}') + http(b"") + http(b'{"b":2}')
    answers, found = Answers(), []
    for start in range(0, len(stream), step):
        found += answers.feed(stream[start : start + step])
    assert [body for body in found if body] == [b'{"a":1}', b'{"b":2}']


def test_what_is_no_http_teaches_nothing() -> None:
    answers = Answers()
    assert answers.feed(b"HTTP/1.1 200 OK\r\n\r\n" + http(b"{}")) == []
    assert answers.feed(http(b"{}")) == []


@pytest.mark.parametrize(
    ("secret", "host"),
    [
        ({"host": "DB.example.com.", "port": 5433, "engine": "postgres"}, ("db.example.com", 5433)),
        ({"host": "db", "port": "5432"}, ("db", 5432)),
        ({"host": "10.0.0.1", "engine": "mysql"}, ("10.0.0.1", 3306)),
        ({"host": "db", "engine": "unheard of"}, None),
        ({"host": "db", "port": 70000}, None),
        ({"host": ["db"], "port": 1}, None),
        ({"port": 1}, None),
    ],
)
def test_the_host_of_a_secret_is_learned(secret: dict[str, object], host: tuple[str, int] | None) -> None:
    learned = learn(json.dumps({"SecretString": json.dumps(secret)}).encode())
    assert learned.hosts == (set() if host is None else {host})


@pytest.mark.parametrize(
    "body",
    [b"", b"[", b"[]", b"null", b"[" * 100_000, b'{"SecretString":1}', b'{"SecretValues":[1,{}],"Parameters":3}'],
)
def test_other_answers_teach_nothing(body: bytes) -> None:
    assert not learn(body).hosts
    assert not learn(body).values


def test_a_log_shows_neither_a_secret_nor_its_parts() -> None:
    secret = json.dumps({"username": "app", "password": 'p"w\\d-é', "host": "db", "port": 5432})
    journal = Journal()
    journal.write(f'early p"w\\d-é and {secret}\n'.encode())
    journal.hide(learn(json.dumps({"SecretString": secret}).encode()).values)
    journal.write(json.dumps({"password": 'p"w\\d-é'}).encode() + b" host db user app\n")
    shown = journal.text().decode()
    assert "w\\d" not in shown
    assert "w\\\\d" not in shown
    assert "host db user app" in shown


def test_a_log_shows_no_secret_as_node_writes_it_and_none_of_its_lines() -> None:
    secret = 'it\'s \\ "here" é\x1b\n-----second line-----\nshort'
    hidden = learn(json.dumps({"SecretString": secret}).encode()).values
    inspected = 'it\\\'s \\\\ "here" é\\x1B\\n-----second line-----\\nshort'
    for form in (inspected, "-----second line-----", json.dumps(secret, ensure_ascii=False)[1:-1]):
        assert form in hidden
    assert "short" not in hidden  # it would stand in too many lines


def test_the_end_of_a_long_log_is_kept_and_does_not_begin_inside_a_secret() -> None:
    journal = Journal()
    journal.hide(["s" * 60_000])
    for _ in range(60):
        journal.write(b"s" * 60_000 + b"\n" + b"x" * 1_000 + b"\n")
    text = journal.text()
    assert b"s" * 30 not in text
    assert text.endswith(b"x\n")
    assert len(text) <= MOST


def question(name: bytes, kind: int = names.A) -> bytes:
    return bytes.fromhex("123401000001000000000000") + name + kind.to_bytes(2, "big") + b"\0\1"


def test_a_question_is_answered_with_addresses_of_its_kind() -> None:
    asked = names.read(question(b"\2db\4corp\0"))
    assert asked is not None
    assert asked.name == "db.corp"
    assert names.answer(asked, ["10.0.0.1", "fd00::1"])[-4:] == bytes([10, 0, 0, 1])
    assert names.answer(asked, None)[3] & 15 == names.NO_SUCH_NAME
    six = names.read(question(b"\2db\0", names.AAAA))
    assert six is not None
    assert names.answer(six, ["10.0.0.1"])[6:8] == b"\0\0"


@pytest.mark.parametrize("message", [b"", b"\0" * 11, question(b"\2db"), question(b"\x45db\0"), question(b"\3\xff\xff\xff\0"), question(b"\2db\0")[:-1], b"\0" * 600])  # fmt: skip
def test_what_is_no_question_is_not_answered(message: bytes) -> None:
    assert names.read(message) is None
