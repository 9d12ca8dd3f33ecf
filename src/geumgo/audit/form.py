"""Records of calls that were answered, encoded by form: what the calls of one caller to one operation have in common is encoded once.

The bytes are those that `record.api_call` and `line.encode_record` give. What is unusual (text beyond ASCII, a proven identity, long
parameters) has no form: it is encoded as any record is.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from geumgo.audit import record as trail_record
from geumgo.audit.line import encode_record
from geumgo.context import Caller

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


class Forms:
    """The forms of one process. Not for several threads."""

    def __init__(self) -> None:
        self._forms: dict[tuple[Any, ...], Form] = {}

    def encoded(
        self,
        *,
        caller: Caller,
        claimed_key: str,
        service: str,
        name: str,
        region: str,
        source_ip: str,
        user_agent: bytes,
        request_parameters: Mapping[str, Any],
        response_elements: Mapping[str, Any],
        request_id: str,
        at_ms: int,
        read_only: bool,
        recipient: str,
        resources: Sequence[Mapping[str, str]],
    ) -> bytes | None:
        """The record of a call that was answered, encoded; None if it has no form. Arguments as of `record.api_call`."""
        key = (id(caller), claimed_key, service, name, region, source_ip, user_agent, read_only, recipient)
        form = self._forms.get(key)
        if form is None or form.caller is not caller:
            form = self._make(key, caller)
        asked, omitted = trail_record.members(request_parameters)
        answered, more_omitted = trail_record.members(response_elements) if response_elements else (None, False)
        if omitted or more_omitted:
            return None
        try:
            made = b'%b%b%b%b,"responseElements":%b,"requestID":%b%b%b%b' % (
                form.time,
                trail_record.iso(at_ms).encode(),
                form.parameters,
                _encode(asked),
                _encode(answered) if answered is not None else b"null",
                _encode(request_id),
                form.read_only,
                b',"resources":%b' % _encode(resources) if resources else b"",
                form.type,
            )
        except UnicodeEncodeError:
            return None
        return made if len(made) <= LONGEST and made.isascii() and b"\x7f" not in made else None

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
