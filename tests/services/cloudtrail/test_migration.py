"""The index of an older program: what it found is found, by the same topics, in the same order."""

from geumgo.audit.follow import Where
from geumgo.services.cloudtrail import store
from geumgo.services.cloudtrail.domain import first_number
from geumgo.storage import Storage
from geumgo.storage.migrate import migrations_of

PLACE, NAME, USER, SOURCE, RESOURCE = 1, 2, 3, 4, 5
AT_S = 1_790_000_000


def test_what_an_older_index_found_is_found(storage: Storage) -> None:
    *before, now = migrations_of("cloudtrail", "geumgo.services.cloudtrail.tables")[:3]
    events = [first_number(AT_S + number * 100_000) + number for number in range(40)]
    with storage.writing() as tx:
        for migration in before:
            for statement in migration.statements:
                tx.run(statement)
        tx.many(
            "INSERT INTO cloudtrail_event (event, of_place, of_id, of_name, of_source, of_read_only, of_user, of_key, chain, segment, "
            "start_at, size_bytes, place, copy) VALUES (:event, :of_place, :of_id, :of_name, :of_source, :of_read_only, :of_user, "
            ":of_key, :chain, :segment, :start_at, :size_bytes, :place, :copy)",
            [
                (event, PLACE, 1_000 + at, NAME, SOURCE, 6 + at % 2, USER if at % 3 else None, None, "n1-a", 1, at * 512, 400, -1, b"c")
                for at, event in enumerate(events)
            ],
        )  # fmt: skip
        twice = [(RESOURCE, event) for event in events[::4]]
        tx.many("INSERT INTO cloudtrail_topic (topic, event) VALUES (:topic, :event)", [*twice, *twice])
        for statement in now.statements:
            tx.run(statement)

        def found(topic: int) -> list[int]:
            return [row.event for row in store.newest(tx, topic, first=0, before=1 << 62, most=100)]

        for topic in (PLACE, NAME, SOURCE):
            assert found(topic) == events[::-1]
        assert found(7) == events[1::2][::-1]
        assert found(USER) == [event for at, event in enumerate(events) if at % 3][::-1]
        assert found(RESOURCE) == events[::4][::-1]
        assert found(1_007) == [events[7]]
        row = store.find(tx, events[7])
    assert row == store.Row(events[7], Where("n1-a", 1, 7 * 512, 400, -1), b"c")
