"""The project against kill -9, damaged files, full disks, locked folders and other versions."""

import os
import sqlite3
import stat
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from infosam.data.project import DATABASE_NAME, Project
from infosam.data.store.schema import APPLICATION_ID, MIGRATIONS, SCHEMA_VERSION
from infosam.types import BadInputError, InfoSAMError, Prompt

posix_only = pytest.mark.skipif(sys.platform == "win32", reason="POSIX permissions and limits")
IMAGE = np.arange(1200, dtype=np.uint16).reshape(30, 40)


def square(top: int) -> np.ndarray:
    mask = np.zeros((30, 40), bool)
    mask[top : top + 4, 5:15] = True
    return mask


WRITER = """
    import sys, time
    import numpy as np
    from infosam.data.project import Project
    from infosam.types import Prompt

    project = Project.create(sys.argv[1])
    image = project.add_image(np.arange(1200, dtype=np.uint16).reshape(30, 40), name="slice")
    for number in range(5):
        mask = np.zeros((30, 40), bool)
        mask[5 * number : 5 * number + 4, 5:15] = True
        top = 5.0 * number
        prompt = Prompt(points=((top + 1, 7.0),), labels=(1,), box=(top, 5, top + 4, 15))
        project.add_object(image.id, mask, label=number + 1, prompt=prompt)
    project.remove_object(3)
    print("committed", flush=True)
    time.sleep(600)
"""


def writer(folder: Path) -> subprocess.Popen[str]:
    """A process that has committed five objects, removed the third, and holds the project open."""
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(WRITER), str(folder)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "committed\n"
    return process


def test_kill_9_loses_nothing_committed(tmp_path: Path) -> None:
    process = writer(tmp_path)
    process.kill()
    process.communicate()
    with Project.open(tmp_path) as project:
        (image,) = project.images()
        assert np.array_equal(project.read_image(image.id), IMAGE)
        records = project.objects(include_removed=True)
        assert [record.label for record in records] == [1, 2, 3, 4, 5]
        assert [record.removed for record in records] == [False, False, True, False, False]
        for number, record in enumerate(records):
            assert np.array_equal(project.mask(record.id), square(5 * number))
            assert record.prompt is not None
            assert record.prompt.points == ((5.0 * number + 1, 7.0),)
            assert record.prompt.box == (5.0 * number, 5.0, 5.0 * number + 4, 15.0)
        project.restore_object(records[2].id)
        assert len(project.objects()) == 5


def test_another_process_writes_while_this_one_reads_and_writes(tmp_path: Path) -> None:
    process = writer(tmp_path)
    try:
        with Project.open(tmp_path) as project:
            assert len(project.labelled_images()[0].objects()) == 4
            project.add_adapter(tmp_path / "adapter", base_model="sam_pocket")
            assert len(project.adapters()) == 1
    finally:
        process.kill()
        process.communicate()


def test_reading_goes_on_while_a_transaction_is_open_elsewhere(tmp_path: Path) -> None:
    with Project.create(tmp_path) as project:
        project.set_setting("model", "a")
        other = sqlite3.connect(tmp_path / DATABASE_NAME, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        other.execute("UPDATE settings SET value = '\"b\"'")
        assert project.get_setting("model") == "a"
        with Project.open(tmp_path) as second:
            assert second.get_setting("model") == "a"
        other.execute("COMMIT")
        assert project.get_setting("model") == "b"
        other.close()


def test_locked_project_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("infosam.data.store.database.BUSY_SECONDS", 0.05)
    with Project.create(tmp_path) as project:
        other = sqlite3.connect(tmp_path / DATABASE_NAME, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(InfoSAMError, match="another program is using the project"):
            project.set_setting("a", 1)
        other.execute("ROLLBACK")
        other.close()
        project.set_setting("a", 1)


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """The file of a closed project with a few hundred kilobytes in it."""
    with Project.create(tmp_path) as project:
        image = project.add_image(IMAGE)
        for label in range(1, 30):
            mask = np.random.default_rng(label).random((30, 40)) < 0.5
            project.add_object(image.id, mask, label=label, prompt=Prompt(points=((1, 2),), labels=(1,)))
    return tmp_path / DATABASE_NAME


def _overwritten(content: bytes, start: int) -> bytes:
    return content[:start] + b"\xa5" * 5000 + content[start + 5000 :]


@pytest.mark.parametrize("damage", ["text", "half", "few bytes", "header", "middle"])
def test_damaged_database_is_kept_and_explained(database: Path, damage: str) -> None:
    content = database.read_bytes()
    damaged = {
        "text": b"this is no database, but a text that someone has put here " * 20,
        "half": content[: len(content) // 2],
        "few bytes": content[:150],
        "header": _overwritten(content, 0),
        "middle": _overwritten(content, len(content) // 2),
    }[damage]
    database.write_bytes(damaged)
    with pytest.raises(InfoSAMError, match=r"the file is damaged .* rename it") as caught:
        Project.open(database.parent)
    assert DATABASE_NAME in str(caught.value)
    assert database.read_bytes() == damaged
    database.rename(database.with_suffix(".damaged"))  # the advice works
    Project.create(database.parent).close()


def test_a_project_of_the_first_version_goes_on(tmp_path: Path) -> None:
    path = tmp_path / DATABASE_NAME
    with closing(sqlite3.connect(path)) as old:
        old.executescript(MIGRATIONS[0])
        old.executescript(
            "INSERT INTO images VALUES (1, 'ab', 'plate', 'plate.png', 0, NULL, '[2, 3]', 'uint8', 0, 9, '');"
            "INSERT INTO objects VALUES"
            " (1, 1, 4, NULL, 'edited', 2, 3, CAST('024' AS BLOB), NULL, 1, 0, '', '');"
            "INSERT INTO journal VALUES (1, 1, 'added', 'prompt', CAST('024' AS BLOB), NULL, '');"
            f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = 1;"
        )
    for _ in range(2):  # the second time there is nothing to do
        with Project.open(tmp_path) as project:
            (found,) = project.objects()
            assert (found.label, found.source, found.corrections, found.area) == (4, "edited", 1, 2)
            assert [revision.action for revision in project.history(1)] == ["added"]
    with Project.open(tmp_path) as project:
        (made,) = project.import_objects(1, [np.array([[0, 0, 1], [0, 0, 1]], bool)])
        assert (made.label, made.source) == (5, "imported")
        with pytest.raises(BadInputError, match="label 4 is taken"):
            project.add_object(1, np.eye(2, 3, dtype=bool), label=4)
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("PRAGMA foreign_key_check").fetchall() == []
        assert database.execute("PRAGMA foreign_key_list(journal)").fetchone()[2] == "objects"


def test_newer_version_is_refused(database: Path) -> None:
    connection = sqlite3.connect(database)
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    connection.close()
    with pytest.raises(InfoSAMError, match=f"newer version .* {SCHEMA_VERSION + 1}.* update"):
        Project.open(database.parent)


def test_database_of_another_program_is_left_alone(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / DATABASE_NAME)
    connection.execute("CREATE TABLE songs (title TEXT)")
    connection.close()
    with pytest.raises(InfoSAMError, match="another program"):
        Project.open(tmp_path)
    connection = sqlite3.connect(tmp_path / DATABASE_NAME)
    assert [row[0] for row in connection.execute("SELECT name FROM sqlite_master")] == ["songs"]
    connection.close()


def test_interrupted_creation_is_finished_by_the_next_opening(tmp_path: Path) -> None:
    (tmp_path / DATABASE_NAME).touch()
    with Project.open(tmp_path) as project:
        assert project.images() == []


def test_full_disk_is_explained_and_loses_nothing(tmp_path: Path) -> None:
    with Project.create(tmp_path) as project:
        image = project.add_image(IMAGE)
        project.add_object(image.id, square(0), label=1)
        with project._database.transaction() as connection:
            pages = connection.execute("PRAGMA page_count").fetchone()[0]
            connection.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(InfoSAMError, match="full: free some space"):
            project.set_setting("large", "x" * 100_000)
        assert [record.label for record in project.objects()] == [1]
        project.set_setting("small", 1)


@posix_only
def test_file_limit_while_copying_an_image_is_explained(tmp_path: Path) -> None:
    """A real write error, by a limit on the size of files, in a process of its own."""
    script = """
        import resource, signal, sys
        import numpy as np
        from infosam.data.project import Project
        from infosam.types import InfoSAMError

        project = Project.create(sys.argv[1])
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000))
        try:
            project.add_image(np.ones((2000, 2000), np.uint8))
        except InfoSAMError as error:
            print(error)
        print(project.images())
    """
    result = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
    )
    message, images = result.stdout.splitlines()
    assert "cannot write" in message
    assert "free some space" in message
    assert images == "[]"
    assert list((tmp_path / "images").iterdir()) == []


@pytest.fixture
def locked_folder() -> Iterator[Path]:
    """A folder that this process may read but not write, also where the tests run as root."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with Project.create(folder / "project") as project:
            project.set_setting("a", 1)
        for path in (folder, *folder.rglob("*")):
            path.chmod(0o555 if path.is_dir() else 0o444)
        is_root = os.geteuid() == 0
        if is_root:
            os.seteuid(65534)
        try:
            yield folder
        finally:
            if is_root:
                os.seteuid(0)
            for path in (folder, *folder.rglob("*")):
                path.chmod(path.stat().st_mode | stat.S_IWUSR)


@posix_only
def test_folder_that_cannot_be_written_is_explained(locked_folder: Path) -> None:
    with pytest.raises(InfoSAMError, match="cannot make the folder"):
        Project.create(locked_folder / "new")
    with pytest.raises(InfoSAMError, match="cannot be written to"):
        Project.create(locked_folder)
    with pytest.raises(InfoSAMError, match="cannot be written to"):
        Project.open(locked_folder / "project")


def test_file_in_place_of_the_folder_is_explained(tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("x")
    with pytest.raises(InfoSAMError, match="cannot make the folder"):
        Project.create(tmp_path / "notes")
