"""Records of calls that were answered, encoded by form: what the calls of one caller to one operation have in common is encoded once.

The bytes are those that `record.api_call` and `line.encode_record` give. What is unusual (text beyond ASCII, a proven identity, long
parameters) has no form: it is encoded as any record is.
"""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import msgspec

from geumgo.audit import record as trail_record
from geumgo.audit.line import encode_record
from geumgo.context import Caller
from geumgo.domain.bounded import keep

MOST_FORMS: Final = 4_096
LONGEST: Final = 4_096  # bytes of a record that is encoded by form

_encode = msgspec.json.Encoder().encode


class Form(NamedTuple):
    """The parts of a record around the time, the parameters, the answer, the request id and the resources."""

    caller: Caller
    time: bytes
    parameters: bytes
    read_only: bytes
    type: bytes


class Said(NamedTuple):
    """What a record says of the call itself: its parameters, its answer, what it touched. Encoded, ASCII."""

    parameters: bytes
    answer: bytes
    resources: bytes


Asked = tuple[str | tuple[tuple[str, str], ...], ...]
"""Names and values by turns, where all values are texts, or mappings of texts."""


class Forms:
    """The forms of one process, and the members of `most` requests that came again, encoded. Not for several threads."""

    def __init__(self, most: int = MOST_FORMS) -> None:
        self._most = most
        self._forms: dict[tuple[Any, ...], Form] = {}
        self._asked: dict[Asked, bytes] = {}
        self._touched: dict[tuple[str, tuple[tuple[str, str], ...]], bytes] = {}

    def form(
        self,
        caller: Caller,
        claimed_key: str,
        service: str,
        name: str,
        region: str,
        source_ip: str,
        user_agent: bytes,
        recipient: str,
        *,
        read_only: bool,
    ) -> Form:
        """What the records of one caller's calls have in common. Arguments as of `record.api_call`."""
        key = (id(caller), claimed_key, service, name, region, source_ip, user_agent, read_only, recipient)
        form = self._forms.get(key)
        if form is None or form.caller is not caller:
            form = self._make(key, caller)
        return form

    def said(
        self,
        request_parameters: Mapping[str, Any],
        response_elements: Mapping[str, Any],
        touched: tuple[tuple[str, str], ...],
        resource_type: str,
    ) -> Said | None:
        """What a record says of the call itself; None if it is too long, or holds half of a surrogate pair.

        Its resources are those `touched` (ARN and account), of `resource_type` (empty: none is named).
        """
        try:
            asked = self._encoded(request_parameters)
            answered = _members(response_elements) if response_elements else b"null"
            resources = self._resources(touched, resource_type) if touched and resource_type else b""
        except UnicodeEncodeError:
            return None
        return None if asked is None or answered is None else Said(asked, answered, resources)

    def _encoded(self, request_parameters: Mapping[str, Any]) -> bytes | None:
        """As `_members`; made once for requests that come again."""
        key = _key(request_parameters)
        if key is None:
            return _members(request_parameters)
        known = self._asked.get(key)
        if known is None:
            known = _members(request_parameters)
            if known is not None and len(known) <= LONGEST:
                keep(self._asked, key, known, self._most)
        return known

    def _resources(self, touched: tuple[tuple[str, str], ...], kind: str) -> bytes:
        known = self._touched.get((kind, touched))
        if known is None:
            named = [trail_record.resource(arn, account, kind) for arn, account in touched]
            known = b',"resources":%b' % _encode(named)
            if len(known) <= LONGEST:
                keep(self._touched, (kind, touched), known, self._most)
        return known

    def _make(self, key: tuple[Any, ...], caller: Caller) -> Form:
        _, claimed_key, service, name, region, source_ip, user_agent, read_only, recipient = key
        record = trail_record.api_call(
            caller=caller,
            claimed_key=claimed_key,
            service=service,
            name=name,
            region=region,
            source_ip=source_ip,
            user_agent=user_agent.decode("utf-8", "replace"),
            request_parameters={},
            response_elements={},
            error_code="",
            error_message="",
            request_id="",
            at_ms=0,
            read_only=read_only,
            secure=False,
            recipient=recipient,
        )
        names = list(record)

        def between(first: str, last: str | None) -> bytes:
            """The members from `first` on, up to `last`."""
            chosen = names[names.index(first) : None if last is None else names.index(last)]
            return encode_record({each: record[each] for each in chosen})[1:-1]

        form = Form(
            caller,
            b"{" + between("eventVersion", "eventTime") + b',"eventTime":"',
            b'",' + between("eventSource", "requestParameters") + b',"requestParameters":',
            b"," + between("readOnly", "eventType"),
            b"," + between("eventType", None) + b"}",
        )
        if len(self._forms) >= MOST_FORMS:
            self._forms.clear()
        self._forms[key] = form
        return form


def is_record(made: bytes) -> bool:
    """Whether what was put together may stand in the trail: the bytes are those of any record."""
    return len(made) <= LONGEST and made.isascii() and b"\x7f" not in made


def put_together(form: Form, said: Said, request_id: str, at_ms: int) -> bytes:
    """The record of a call, if `is_record`. Records of one form that say the same are all of them records, or none is."""
    return b'%b%b%b%b,"responseElements":%b,"requestID":%b%b%b%b' % (
        form.time,
        trail_record.iso(at_ms).encode(),
        form.parameters,
        said.parameters,
        said.answer,
        _encode(request_id),
        form.read_only,
        said.resources,
        form.type,
    )


def _members(values: Mapping[str, Any]) -> bytes | None:
    """The members encoded; None if they are too long for a form. Raises UnicodeEncodeError."""
    kept, omitted = trail_record.members(values)
    return None if omitted else _encode(kept)


def _key(values: Mapping[str, Any]) -> Asked | None:
    """What no other members have; None if some value is neither a text nor a mapping of texts."""
    key: list[str | tuple[tuple[str, str], ...]] = []
    for name, value in values.items():
        if type(value) is str:
            key += (name, value)
            continue
        if type(value) is not dict:
            return None
        for inner in value.values():
            if type(inner) is not str:
                return None
        key += (name, tuple(value.items()))
    return tuple(key)
