"""What every engine promises."""

from geumgo.storage import Storage


def test_a_committed_row_is_there(storage: Storage) -> None:
    with storage.writing() as tx:
        tx.run('CREATE TABLE t (id TEXT COLLATE "C" PRIMARY KEY, n BIGINT, b BYTEA)')
        assert tx.run("INSERT INTO t (id,n,b) VALUES (:id,:n,:b)", id="금고", n=2**63 - 1, b=bytes(range(256))) == 1
    with storage.reading() as tx:
        assert tx.all("SELECT id,n,b FROM t") == [("금고", 2**63 - 1, bytes(range(256)))]
