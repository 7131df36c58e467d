"""What the byte store promises: whole or absent, one writer a file, nothing left of the dead."""

import hashlib
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from stilton.blobs.incoming import Partial, Reader
from stilton.blobs.local import LocalBlobs
from stilton.domain.errors import StorageTrouble
from tests.contract.processes import a_process

CONTENT = b"some bytes" * 1000
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def blobs(tmp_path: Path) -> LocalBlobs:
    made = LocalBlobs(tmp_path)
    made.create()
    return made


def stored(blobs: LocalBlobs) -> list[Path]:
    """Every blob there is."""
    return [path for path in blobs.path("00" * 32).parent.parent.rglob("*") if path.is_file()]


def a_writer(blobs: LocalBlobs, key: str = "key") -> Partial:
    """A partial file that is begun."""
    partial = Partial(blobs, key)
    assert partial.claim()
    partial.begin({"sha256", "md5"}, {"size": len(CONTENT)})
    return partial


def fill(partial: Partial, content: bytes = CONTENT) -> None:
    partial.write(content)
    partial.digest(content)


def test_creating_the_store_twice_keeps_what_is_in_it(blobs: LocalBlobs) -> None:
    blobs.put(CONTENT)

    blobs.create()

    assert blobs.has(DIGEST)


def test_what_is_put_is_kept_under_its_hash(blobs: LocalBlobs) -> None:
    digest = blobs.put(CONTENT)

    assert digest == DIGEST
    assert blobs.path(digest).read_bytes() == CONTENT
    assert blobs.has(digest)
    assert blobs.intact(digest)


def test_nothing_is_kept_twice_and_nothing_else_is_left(blobs: LocalBlobs) -> None:
    with ThreadPoolExecutor(8) as threads:
        digests = list(threads.map(lambda _: blobs.put(CONTENT), range(40)))

    assert set(digests) == {DIGEST}
    assert stored(blobs) == [blobs.path(DIGEST)]
    assert list(blobs.incoming.iterdir()) == []


def test_what_was_never_put_is_not_here(blobs: LocalBlobs) -> None:
    assert not blobs.has(DIGEST)
    assert not blobs.intact(DIGEST)
    assert stored(blobs) == []


@pytest.mark.parametrize("spoilt", [b"", CONTENT[:-1], CONTENT[:-1] + b"x", CONTENT + b"x"])
def test_a_blob_that_lost_its_bytes_is_not_intact_and_can_be_put_again(blobs: LocalBlobs, spoilt: bytes) -> None:
    blobs.put(CONTENT)
    blobs.path(DIGEST).write_bytes(spoilt)

    assert not blobs.intact(DIGEST)

    blobs.put(CONTENT)
    assert blobs.intact(DIGEST)


@pytest.mark.parametrize("lasting", [True, False])
def test_an_adopted_file_becomes_the_blob_and_leaves_its_place(blobs: LocalBlobs, lasting: bool) -> None:
    file = blobs.incoming / "file"
    file.write_bytes(CONTENT)

    path = blobs.adopt(file, DIGEST, lasting=lasting)

    assert path == blobs.path(DIGEST)
    assert path.read_bytes() == CONTENT
    assert not file.exists()


def test_a_file_that_is_gone_cannot_be_adopted_and_nothing_appears(blobs: LocalBlobs) -> None:
    with pytest.raises(StorageTrouble) as trouble:
        blobs.adopt(blobs.incoming / "gone", DIGEST, lasting=True)

    assert "No such file" in str(trouble.value)
    assert stored(blobs) == []


def test_a_store_whose_folder_is_gone_says_so_and_stores_nothing(blobs: LocalBlobs) -> None:
    blobs.incoming.rmdir()

    with pytest.raises(StorageTrouble):
        blobs.put(CONTENT)

    assert stored(blobs) == []


def test_a_partial_is_no_blob_until_it_is_committed(blobs: LocalBlobs) -> None:
    partial = a_writer(blobs)
    fill(partial)

    before = blobs.has(DIGEST)
    path = partial.commit(partial.digests()["sha256"])
    partial.release()

    assert not before
    assert path.read_bytes() == CONTENT
    assert blobs.intact(DIGEST)
    assert list(blobs.incoming.iterdir()) == []


def test_a_partial_counts_and_hashes_all_its_pieces(blobs: LocalBlobs) -> None:
    partial = a_writer(blobs)

    for at in range(0, len(CONTENT), 777):
        fill(partial, CONTENT[at : at + 777])

    assert partial.size == len(CONTENT)
    assert partial.digests() == {"sha256": DIGEST, "md5": hashlib.md5(CONTENT).hexdigest()}
    partial.release()


def test_a_partial_that_is_given_up_leaves_nothing(blobs: LocalBlobs) -> None:
    partial = a_writer(blobs)
    fill(partial)

    partial.release()
    partial.release()

    assert stored(blobs) == []
    assert list(blobs.incoming.iterdir()) == []


def test_of_two_partials_on_one_key_only_one_writes_and_the_other_reads(blobs: LocalBlobs) -> None:
    writer = a_writer(blobs)
    other = Partial(blobs, "key")

    claimed = other.claim()
    writer.write(CONTENT[:100])
    reader = Reader(other.path)

    assert not claimed
    assert other.head() == {"size": len(CONTENT)}
    assert reader.size() == 100
    assert reader.read(90, 50) == CONTENT[90:100]
    writer.write(CONTENT[100:])
    assert reader.read(90, 50) == CONTENT[90:140]
    reader.close()
    writer.release()


def test_different_keys_are_written_at_once(blobs: LocalBlobs) -> None:
    one, other = a_writer(blobs, "one"), a_writer(blobs, "other")

    fill(one, b"1")
    fill(other, b"2")

    assert one.digests() != other.digests()
    one.release()
    other.release()


def test_after_the_writer_lets_go_another_may_claim(blobs: LocalBlobs) -> None:
    writer = a_writer(blobs)
    fill(writer)
    writer.release()
    other = Partial(blobs, "key")

    assert other.head() is None
    assert other.claim()
    other.release()


def test_of_many_that_claim_at_once_exactly_one_is_the_writer(blobs: LocalBlobs) -> None:
    start = threading.Barrier(12)
    partials = [Partial(blobs, "key") for _ in range(12)]

    def claim(partial: Partial) -> bool:
        start.wait()
        return partial.claim()

    with ThreadPoolExecutor(12) as threads:
        claimed = list(threads.map(claim, partials))

    assert sum(claimed) == 1
    for partial in partials:
        partial.release()
    assert list(blobs.incoming.iterdir()) == []


def test_who_reads_keeps_reading_when_the_file_becomes_a_blob_or_is_dropped(blobs: LocalBlobs) -> None:
    writer = a_writer(blobs)
    fill(writer)
    reader = Reader(writer.path)

    writer.commit(DIGEST)
    writer.release()
    blobs.path(DIGEST).unlink()

    assert reader.read(0, 1 << 20) == CONTENT
    reader.close()


def test_a_head_that_is_not_said_yet_is_none(blobs: LocalBlobs) -> None:
    partial = Partial(blobs, "key")

    before = partial.head()
    partial.claim()

    assert before is None
    assert partial.head() is None
    partial.release()


WRITER = """
import signal
import sys
from pathlib import Path
from stilton.blobs.incoming import Partial
from stilton.blobs.local import LocalBlobs
partial = Partial(LocalBlobs(Path(sys.argv[1])), "key")
assert partial.claim()
partial.begin({"sha256"}, {"size": 10, "more": "a head that is longer than the next one's"})
partial.write(b"half a file")
print("written", flush=True)
signal.pause()
"""


def test_a_writer_in_another_process_keeps_the_key_and_can_be_read(blobs: LocalBlobs, tmp_path: Path) -> None:
    with a_process(WRITER, tmp_path) as output:
        output.readline()
        partial = Partial(blobs, "key")
        reader = Reader(partial.path)

        assert not partial.claim()
        assert (partial.head() or {})["size"] == 10
        assert reader.read(0, 100) == b"half a file"
        reader.close()


def test_what_a_killed_writer_left_is_taken_over_from_the_start(blobs: LocalBlobs, tmp_path: Path) -> None:
    with a_process(WRITER, tmp_path) as output:
        output.readline()
    partial = Partial(blobs, "key")

    assert partial.claim()
    assert partial.head() is None
    partial.begin({"sha256"}, {"size": 3})
    assert partial.head() == {"size": 3}
    assert partial.path.read_bytes() == b""
    fill(partial)
    partial.commit(partial.digests()["sha256"])
    partial.release()

    assert blobs.intact(DIGEST)
    assert stored(blobs) == [blobs.path(DIGEST)]


PUTTER = """
import sys
from pathlib import Path
from stilton.blobs.incoming import Partial
from stilton.blobs.local import LocalBlobs
blobs = LocalBlobs(Path(sys.argv[1]))
count = 0
while True:
    count += 1
    digest = blobs.put(b"%d" % count * 100_000)
    partial = Partial(blobs, "key")
    partial.claim()
    partial.begin(set(), {})
    partial.write(b"%d" % -count * 100_000)
    partial.digest(b"%d" % -count * 100_000)
    partial.commit(partial.digests()["sha256"])
    partial.release()
    print(digest, partial.digests()["sha256"], flush=True)
"""


@pytest.mark.parametrize("rounds", [1, 5, 20])
def test_a_killed_process_leaves_every_blob_whole_or_absent(blobs: LocalBlobs, tmp_path: Path, rounds: int) -> None:
    with a_process(PUTTER, tmp_path) as output:
        said = [digest for _ in range(rounds) for digest in output.readline().split()]

    assert all(blobs.intact(digest) for digest in said)
    for path in stored(blobs):
        assert hashlib.sha256(path.read_bytes()).hexdigest() == path.parent.name + path.name


def test_clearing_drops_what_is_half_done_and_no_blob(blobs: LocalBlobs, tmp_path: Path) -> None:
    blobs.put(CONTENT)
    with a_process(WRITER, tmp_path) as output:
        output.readline()

    blobs.clear_incoming()

    assert list(blobs.incoming.iterdir()) == []
    assert os.access(blobs.incoming, os.W_OK)
    assert blobs.intact(DIGEST)
