"""Deliveries of trails: log files about every five minutes, signed digest files every hour, as AWS lays them out in a bucket.

A file is decided in one transaction (its name, what is in it), written, and settled in another. Whoever dies in between leaves a decided
file, which is written again with the same name and the same bytes. The jobs of one trail and region share a lock.

Source: "CloudTrail log file name format", "CloudTrail digest file structure", "Custom implementations of CloudTrail log file integrity
validation", CloudTrail User Guide.
"""

import gzip
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from geumgo.audit.line import encode_record
from geumgo.audit.record import iso
from geumgo.context import Archive, Context, Params, Place, Work
from geumgo.jobs import promise
from geumgo.jobs.retry import TryLater
from geumgo.room import JobHandler
from geumgo.sealing import Sealing, Unsealable, random, rsa_signing
from geumgo.services.cloudtrail import store, store_deliveries, store_trails
from geumgo.services.cloudtrail.copies import read_copy
from geumgo.services.cloudtrail.domain import seconds_of
from geumgo.services.cloudtrail.domain_trails import digest_object, log_object
from geumgo.services.cloudtrail.records import Digest, LogFile, SigningKey, Trail
from geumgo.services.cloudtrail.signing_keys import current_key, private_of
from geumgo.storage import Tx

DELIVER_AFTER_MS: Final = 300_000  # the longest that an event waits for its file. Source: "about every 5 minutes"
DIGEST_EVERY_S: Final = 3_600
CATCH_UP_S: Final = 86_400  # what is behind by more gets one digest instead of one for each hour
MOST_RECORDS: Final = 5_000  # of one file
RETRY_MS: Final = 60_000
GLOBAL_REGION: Final = "us-east-1"
SIGNED_WITH: Final = "SHA256withRSA"
METADATA: Final = ".metadata.json"


# -- promises -----------------------------------------------------------------------------------------------------------


def regions_of(trail: Trail, served: frozenset[str]) -> list[str]:
    """The regions in whose directories the trail delivers."""
    return sorted(served | {GLOBAL_REGION}) if trail.multi_region else [trail.place.region]


def promise_digests(ctx: Context, trail: Trail) -> None:
    """A digest file comes every hour from now on, an hour from now the first."""
    at_ms = ctx.clock.now_ms() + DIGEST_EVERY_S * 1000
    for region in regions_of(trail, ctx.regions):
        _promise(ctx.tx, "digest", trail, region, at_ms)


def promise_last_digests(ctx: Context, trail: Trail) -> None:
    """A digest file comes when the last log files are delivered."""
    at_ms = ctx.clock.now_ms() + DELIVER_AFTER_MS + RETRY_MS
    for region in regions_of(trail, ctx.regions):
        _promise(ctx.tx, "digest", trail, region, at_ms)


def promise_delivery(tx: Tx, trail: Trail, region: str, now_ms: int) -> None:
    """What waits is delivered five minutes from now, or as was promised before."""
    _promise(tx, "deliver", trail, region, now_ms + DELIVER_AFTER_MS)


def _promise(tx: Tx, what: str, trail: Trail, region: str, run_at_ms: int) -> None:
    promise(
        tx,
        f"cloudtrail.{what}",
        Place(trail.place.account, trail.place.region, trail.place.partition),
        {"trail": trail.id, "region": region},
        run_at_ms=run_at_ms,
        lock=f"cloudtrail {trail.id} {region}",
        dedup=f"cloudtrail.{what} {trail.id} {region}",
    )


@dataclass(frozen=True, slots=True)
class _Due:
    """A digest that is decided, the one before it, the files that it names, and the key that signs it."""

    trail: Trail
    digest: Digest
    before: Digest | None
    files: Sequence[LogFile]
    key: SigningKey


# -- the jobs -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Deliverer:
    """Writes below `directory`, where each bucket is a directory; joined by app."""

    directory: Path
    archive: Archive

    def jobs(self) -> Mapping[str, JobHandler]:
        return {"cloudtrail.deliver": self.deliver, "cloudtrail.digest": self.digest}

    def deliver(self, work: Work, payload: Params) -> None:
        """The oldest events that wait are in a log file; if more wait, another one follows at once."""
        region, now_ms = payload["region"], work.clock.now_ms()
        with work.writing() as tx:
            trail = store_trails.find_by_id(tx, work.sealing, work.place.partition, payload["trail"])
            file = self._decided(tx, trail, region, now_ms) if trail is not None else None
            rows = store_deliveries.events_of(tx, file) if file is not None else []
        if trail is None or file is None:
            with work.finishing():
                return
        records = [record for row in rows if (record := self._record(work.sealing, row)) is not None]
        if records:
            content = b'{"Records":[' + b",".join(encode_record(record) for record in records) + b"]}"
            self._write(work, trail, file.object, {file.object: _packed(content)}, bucket=file.bucket)
            times = [seconds_of(record["eventTime"]) for record in records]
            file = replace(
                file, hash=hashlib.sha256(content).hexdigest(), oldest_at_s=min(times), newest_at_s=max(times)
            )
        with work.finishing() as tx:
            store_deliveries.deliver_file(tx, file, now_ms)
            if not records:
                store_deliveries.forget_file(tx, file)
            store_trails.note_delivery(tx, trail.id, now_ms, None)
            if store_deliveries.waits(tx, trail.id, region):
                _promise(tx, "deliver", trail, region, now_ms)

    def digest(self, work: Work, payload: Params) -> None:
        """A digest file names every log file since the last one, and the last one."""
        region, now_ms = payload["region"], work.clock.now_ms()
        key = current_key(work.storage, work.sealing, now_ms)
        with work.writing() as tx:
            due = self._due(tx, work, payload["trail"], region, key.fingerprint)
        if due is None:
            with work.finishing():
                return
        trail, digest, before, key = due.trail, due.digest, due.before, due.key
        content = _digest_content(trail, digest, before, due.files)
        hashed = hashlib.sha256(content).hexdigest()
        signature = rsa_signing.sign(private_of(work.sealing, key), _to_sign(digest, hashed, before)).hex()
        metadata = {"x-amz-meta-signature": signature, "x-amz-meta-signature-algorithm": SIGNED_WITH}
        written = {
            digest.object + METADATA: json.dumps(metadata, indent=1).encode(),
            digest.object: _packed(content),
        }
        self._write(work, trail, digest.object, written, bucket=digest.bucket, digest=True)
        with work.finishing() as tx:
            digest = replace(digest, hash=hashed, signature=signature)
            store_deliveries.deliver_digest(tx, trail.id, region, digest)
            store_trails.note_digest(tx, trail.id, now_ms, None)
            waits = store_deliveries.waits(tx, trail.id, region) or store_deliveries.unread_files(tx, trail.id, region)
            if trail.logging or waits:
                next_s = max(digest.ended_at_s + DIGEST_EVERY_S, now_ms // 1000 - CATCH_UP_S)
                _promise(tx, "digest", trail, region, next_s * 1000)

    def _decided(self, tx: Tx, trail: Trail, region: str, now_ms: int) -> LogFile | None:
        """The file that is to be written: the one that was decided before, or a new one. None if nothing waits."""
        decided = store_deliveries.decided_file(tx, trail.id, region)
        if decided is not None:
            return decided
        name = log_object(trail.prefix, trail.place.account, region, now_ms // 1000, random.letters(16))
        file = LogFile(random.uuid(), trail.bucket, name)
        return file if store_deliveries.decide_file(tx, trail.id, region, file, MOST_RECORDS) else None

    def _due(self, tx: Tx, work: Work, trail_id: str, region: str, fingerprint: str) -> "_Due | None":
        """The digest that is to be written, with what it needs. None if the trail wants none any more."""
        trail = store_trails.find_by_id(tx, work.sealing, work.place.partition, trail_id)
        if trail is None or not trail.validates:
            return None
        digest = self._decided_digest(tx, trail, region, work.clock.now_ms() // 1000, fingerprint)
        before = store_deliveries.last_digest(tx, trail.id, region)
        files = store_deliveries.files_of(tx, digest)
        return _Due(trail, digest, before, files, store_deliveries.key(tx, digest.fingerprint))

    def _decided_digest(self, tx: Tx, trail: Trail, region: str, now_s: int, fingerprint: str) -> Digest:
        decided = store_deliveries.decided_digest(tx, trail.id, region)
        if decided is not None:
            return decided
        before = store_deliveries.last_digest(tx, trail.id, region)
        start_s = max(before.ended_at_s if before is not None else 0, trail.started_at_ms // 1000)
        end_s = min(start_s + DIGEST_EVERY_S, now_s) if now_s - start_s <= CATCH_UP_S else now_s
        if before is not None and end_s <= before.ended_at_s:
            raise TryLater(1_000)  # two digest files of one second would have one name
        account, home = trail.place.account, trail.place.region
        name = digest_object(trail.prefix, account, region, trail.name, home, end_s)
        digest = Digest(random.uuid(), start_s, end_s, trail.bucket, name, fingerprint)
        store_deliveries.decide_digest(tx, trail.id, region, digest)
        return digest

    def _record(self, sealing: Sealing, row: store.Row) -> Params | None:
        if row.copy is None:
            return self.archive.record(row.where)
        try:
            return read_copy(sealing, row.copy)
        except Unsealable:
            return None

    def _write(
        self,
        work: Work,
        trail: Trail,
        name: str,
        written: Mapping[str, bytes],
        *,
        bucket: str,
        digest: bool = False,
    ) -> None:
        """The files are on the disk. What keeps them from it is in the trail's status, and they are tried again in a minute."""
        try:
            for each, content in written.items():
                _write_whole(self.directory, Path(bucket) / each, content)
        except OSError as fault:
            error = f"{name.rpartition('/')[2]} cannot be written: {fault.strerror or type(fault).__name__}"
            with work.writing() as tx:
                note = store_trails.note_digest if digest else store_trails.note_delivery
                note(tx, trail.id, work.clock.now_ms(), error)
            raise TryLater(RETRY_MS) from None


# -- contents -------------------------------------------------------------------------------------------------------------


def _packed(content: bytes) -> bytes:
    """Packed by gzip, the same bytes whenever it is done."""
    return gzip.compress(content, compresslevel=6, mtime=0)


def _digest_content(trail: Trail, digest: Digest, before: Digest | None, files: Sequence[LogFile]) -> bytes:
    oldest = [file.oldest_at_s for file in files if file.oldest_at_s is not None]
    newest = [file.newest_at_s for file in files if file.newest_at_s is not None]
    described: dict[str, Any] = {
        "awsAccountId": trail.place.account,
        "digestStartTime": _time(digest.started_at_s),
        "digestEndTime": _time(digest.ended_at_s),
        "digestS3Bucket": digest.bucket,
        "digestS3Object": digest.object,
        "digestPublicKeyFingerprint": digest.fingerprint,
        "digestSignatureAlgorithm": SIGNED_WITH,
        "newestEventTime": _time(max(newest)) if newest else None,
        "oldestEventTime": _time(min(oldest)) if oldest else None,
        "previousDigestS3Bucket": before.bucket if before is not None else None,
        "previousDigestS3Object": before.object if before is not None else None,
        "previousDigestHashValue": before.hash if before is not None else None,
        "previousDigestHashAlgorithm": "SHA-256" if before is not None else None,
        "previousDigestSignature": before.signature if before is not None else None,
        "logFiles": [
            {
                "s3Bucket": file.bucket,
                "s3Object": file.object,
                "hashValue": file.hash,
                "hashAlgorithm": "SHA-256",
                "newestEventTime": _time(file.newest_at_s or 0),
                "oldestEventTime": _time(file.oldest_at_s or 0),
            }
            for file in files
        ],
    }
    return json.dumps(described, separators=(",", ":")).encode()


def _to_sign(digest: Digest, hashed: str, before: Digest | None) -> bytes:
    previous = before.signature if before is not None and before.signature is not None else "null"
    return "\n".join([_time(digest.ended_at_s), f"{digest.bucket}/{digest.object}", hashed, previous]).encode()


def _time(at_s: int) -> str:
    return iso(at_s * 1000)


def _write_whole(directory: Path, name: Path, content: bytes) -> None:
    """The file `name` below `directory` holds `content`, whole or not at all, durable with its name. Raises OSError."""
    path = directory
    path.mkdir(mode=0o750, parents=True, exist_ok=True)
    for part in name.parent.parts:
        path = path / part
        if not path.is_dir():
            path.mkdir(mode=0o750, exist_ok=True)
            _sync(path.parent)
    draft = path / f".{name.name}.new"
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o640)
    try:
        left = memoryview(content)
        while left:
            left = left[os.write(descriptor, left) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    draft.replace(path / name.name)
    _sync(path)


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
