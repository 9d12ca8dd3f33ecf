"""AWS's own test suite for Signature Version 4."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from geumgo.access import signature
from geumgo.access.signature import read_claim, verify
from geumgo.access.signature_canonical import is_ambiguous
from geumgo.errors import InvalidSignature
from geumgo.message import Request
from geumgo.sealing.keyed import keyed
from geumgo.sealing.plaintext import Plaintext
from tests.access.signing import request_of

SUITE = json.loads((Path(__file__).parent / "sigv4_vectors.json").read_text("utf-8"))
VECTORS = {vector["name"]: vector for vector in SUITE["vectors"]}
SECRET = Plaintext(SUITE["secretAccessKey"].encode())
NOW_MS = int(datetime(2015, 8, 30, 12, 36, tzinfo=UTC).timestamp()) * 1000
REFUSED_ALTHOUGH_RIGHT = {
    "get-header-key-duplicate": "twins of a signed header",
    "get-header-value-multiline": "twins of a signed header",
    "get-header-value-order": "twins of a signed header",
    "get-relative": "a path that is not normal",
    "get-relative-relative": "a path that is not normal",
    "get-slash": "a path that is not normal",
    "get-slash-dot-slash": "a path that is not normal",
    "get-slash-pointless-dot": "a path that is not normal",
    "get-slashes": "a path that is not normal",
    "post-sts-header-after": "an x-amz- header that is not signed",
}


def sent(vector: dict[str, Any]) -> Request:
    headers = [(name.encode(), value.encode()) for name, value in vector["headers"]]
    return request_of(vector["method"], vector["target"].encode(), headers, vector["body"].encode())


@pytest.mark.parametrize("name", VECTORS)
def test_the_signature_is_the_published_one(name: str) -> None:
    request = sent(VECTORS[name])
    claim = read_claim(request)
    assert claim is not None
    key = signature.signing_key(SECRET, claim.date, claim.region, claim.service)
    assert signature._signature(request, claim, keyed(key)).hex() == VECTORS[name]["signature"]


@pytest.mark.parametrize("name", VECTORS)
def test_a_request_is_accepted_unless_a_second_reader_could_misread_it(name: str) -> None:
    request = sent(VECTORS[name])
    claim = read_claim(request)
    assert claim is not None

    def door() -> None:
        verify(request, claim, SECRET, regions={"us-east-1"}, services={"service"}, now_ms=NOW_MS)

    if name in REFUSED_ALTHOUGH_RIGHT:
        with pytest.raises(InvalidSignature):
            door()
    else:
        door()


def test_the_paths_that_are_refused_are_those_that_normalisation_changes() -> None:
    ambiguous = {name for name, vector in VECTORS.items() if is_ambiguous(sent(vector).path, sent(vector).query)}
    assert ambiguous == {name for name, why in REFUSED_ALTHOUGH_RIGHT.items() if why == "a path that is not normal"}


BOTOCORE_DIFFERS = {
    "get-vanilla-utf8-query",  # botocore takes a query as it is, the suite encodes it first
}


@pytest.mark.parametrize("name", [name for name in VECTORS if "presigned" not in name])
def test_botocore_agrees_with_the_suite(name: str) -> None:
    vector = VECTORS[name]
    asked = AWSRequest(
        method=vector["method"], url="https://example.amazonaws.com" + vector["target"], data=vector["body"]
    )
    signed = read_claim(sent(vector))
    assert signed is not None
    for header, value in vector["headers"]:
        if header.lower() in signed.signed_headers:
            asked.headers.add_header(header, value)
    asked.context["timestamp"] = SUITE["now"]
    signer = SigV4Auth(Credentials(SUITE["accessKeyId"], SUITE["secretAccessKey"]), SUITE["service"], SUITE["region"])
    found = signer.signature(signer.string_to_sign(asked, signer.canonical_request(asked)), asked)
    assert (found == vector["signature"]) is (name not in BOTOCORE_DIFFERS)
