"""The folder and the address of a lab: one lab each, and only where it is safe."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from actlab.operate import address
from actlab.operate.errors import CannotStart
from actlab.operate.place import held


def test_one_lab_at_a_time_has_a_folder_and_the_next_is_told_which(tmp_path: Path) -> None:
    with held(tmp_path) as place:
        place.announce("http://127.0.0.1:1234")

        with (
            pytest.raises(
                CannotStart, match=rf"already runs in {tmp_path} \(process {os.getpid()}, http://127.0.0.1:1234\)"
            ),
            held(tmp_path),
        ):
            pass

    with held(tmp_path):
        pass


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with (
        pytest.raises(CannotStart, match=r"file cannot be used: .* Choose another with --data"),
        held(tmp_path / "file"),
    ):
        pass


def test_logs_of_earlier_times_are_put_aside(tmp_path: Path) -> None:
    with held(tmp_path) as place:
        for n in range(6):
            place.prepare()
            (place.logs / "api.log").write_text(str(n))

        assert {log.name: log.read_text() for log in place.logs.iterdir()} == {
            "api.log": "5",
            "api.log.1": "4",
            "api.log.2": "3",
            "api.log.3": "2",
        }


def test_clearing_a_folder_leaves_what_is_not_the_labs(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    with held(tmp_path) as place:
        place.prepare()
        place.database.touch()
        place.database.with_name("actlab.sqlite-wal").touch()

        place.clear()

    assert sorted(path.name for path in tmp_path.iterdir()) == ["lab.lock", "thesis.tex"]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.0.0.2"])
def test_a_lab_listens_on_loopback(host: str) -> None:
    with address.listening(host, 0) as listener:
        port = listener.getsockname()[1]

        assert address.url_of(listener).endswith(f":{port}")
        socket.create_connection(listener.getsockname()[:2], timeout=2).close()


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "::"])  # noqa: S104 - that it is refused is the claim
def test_a_lab_does_not_listen_where_others_could_reach_it(host: str) -> None:
    with pytest.raises(CannotStart, match="asks nobody who they are"), address.listening(host, 0):
        pass


def test_a_lab_that_asks_for_tokens_listens_where_it_is_told() -> None:
    with address.listening("0.0.0.0", 0, guarded=True) as listener:  # noqa: S104 - that it is not refused is the claim
        assert listener.getsockname()[0] == "0.0.0.0"  # noqa: S104 - as above
        assert address.url_of(listener).startswith("http://127.0.0.1:")


def test_a_port_that_is_taken_is_named() -> None:
    with address.listening("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]

        taken = pytest.raises(CannotStart, match=f"Port {port} of 127.0.0.1 cannot be used: Address already in use")
        with taken, address.listening("127.0.0.1", port):
            pass


def test_a_folder_made_for_a_lab_that_could_not_start_is_removed(tmp_path: Path) -> None:
    folder = tmp_path / "new"

    with pytest.raises(CannotStart), held(folder):
        raise CannotStart("The port is taken.")

    assert not folder.exists()


def test_a_folder_that_was_there_stays(tmp_path: Path) -> None:
    with pytest.raises(CannotStart), held(tmp_path):
        raise CannotStart("The port is taken.")

    assert tmp_path.exists()
