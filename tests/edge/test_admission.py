"""Who may join the line, going by how many wait, whose they are and how fast they are answered."""

import pytest

from geumgo.edge.admission import KNOWN, LEAST, Admission
from geumgo.message import Fetched, Request


def request(peer: str, key: str = "") -> Request:
    credential = f"AWS4-HMAC-SHA256 Credential={key}/20261129/us-east-1/kms/aws4_request, Signature=0".encode()
    return Request("POST", b"/", ((b"authorization", credential),) if key else (), b"", peer, False, "id", 0)


def admitted(admission: Admission, arrivals: list[Request], waiting: list[Request] | None = None) -> list[Request]:
    """Those of `arrivals`, in one turn, that may join the ones who wait."""
    line = list(waiting or [])
    before = len(line)
    for each in arrivals:
        if admission.admits(each, len(line), lambda: line):
            line.append(each)
    return line[before:]


@pytest.mark.parametrize("most", [4, 64, 1_000])
def test_one_source_alone_gets_half_of_the_line(most: int):
    assert len(admitted(Admission(most=most, seconds=1), [request("a")] * 2 * most)) == most // 2


def test_two_sources_get_a_third_each_and_a_newcomer_still_finds_a_place():
    admission = Admission(most=900, seconds=1)
    arrivals = [request("a"), request("b")] * 1_000
    line = admitted(admission, arrivals)
    assert [sum(each.peer == peer for each in line) for peer in "ab"] == [300, 300]
    assert len(admitted(admission, [request("c")] * 100, line)) == 100


def test_whoever_invents_keys_has_one_place_with_all_of_them():
    admission = Admission(most=100, seconds=1)
    line = admitted(admission, [request("a", f"AKIA{number}") for number in range(500)])
    assert len(line) == 50


def test_a_key_that_was_answered_is_not_held_up_by_others_from_its_address():
    admission = Admission(most=100, seconds=1)
    admission.answered(request("proxy", "AKIAHONEST"))
    line = admitted(admission, [request("proxy", f"AKIA{number}") for number in range(500)])
    assert not admitted(admission, [request("proxy", "AKIAOTHER")], line)
    assert len(admitted(admission, [request("proxy", "AKIAHONEST")] * 20, line)) == 20


def test_what_is_remembered_of_keys_is_bounded():
    admission = Admission(most=100, seconds=1)
    for number in range(2 * KNOWN):
        admission.answered(request("a", f"AKIA{number}"))
    assert len(admission._known) == KNOWN


def test_the_line_is_as_long_as_can_be_answered_in_time():
    admission = Admission(most=10_000, seconds=2)
    admission.took(1.0, 1_000)  # a millisecond each
    assert len(admitted(admission, [request("a")] * 10_000)) == 1_000
    for _ in range(100):
        admission.taken()
        admission.took(0.001, 100)  # a hundredth of that
    assert len(admitted(admission, [request("a")] * 10_000)) == 5_000


def test_a_disk_that_paused_once_refuses_nobody():
    admission = Admission(most=1_000, seconds=2)
    admission.took(10.0, 1)
    assert len(admitted(admission, [request("a")] * 1_000)) == LEAST // 2


def test_sources_have_their_turns_one_after_the_other_and_each_keeps_its_order():
    admission = Admission(most=100, seconds=1)
    line: list[Request | Fetched] = [
        request("a"),
        request("a"),
        request("a"),
        Fetched(None),
        request("b"),
        request("b"),
        request("c"),
    ]
    assert admission.in_turn(line) == [3, 0, 4, 6, 1, 5, 2]
