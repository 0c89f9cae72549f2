"""The server's command, and what it says if it doesn't start."""

from __future__ import annotations

import json
import os

import pytest

from daskclass.object_store import serve

ANN, BOB = "CLASSANN00000001", "CLASSBOB00000002"
KEYS = {ANN: "the-first-secret", BOB: "the-second-secret"}


def test_ports_are_different_and_free():
    ports = serve.free_ports(20)
    assert len(set(ports)) == 20


@pytest.mark.parametrize("program", [serve.weed, serve.rclone])
def test_no_key_is_in_the_command(program, tmp_path):
    command, variables, port, _left = program(tmp_path, KEYS)
    assert not [word for word in command if "secret" in word]
    assert any(str(port) in word for word in command)
    told = json.dumps(variables) + "".join(path.read_text() for path in tmp_path.glob("*.json"))
    assert all(key in told and secret in told for key, secret in KEYS.items())


def test_every_part_of_seaweedfs_has_a_port_of_its_own(tmp_path):
    command, _variables, port, left = serve.weed(tmp_path, KEYS)
    ports = [word.partition("=")[2] for word in command if "port" in word and not word.endswith("=0")]
    assert len(ports) == len(set(ports)) == 1 + len(serve._PARTS)
    assert str(port) in ports
    assert {path.suffix for path in left} == {".sock"}
    assert "-master.telemetry=false" in command  # nothing about us leaves this machine


def test_a_server_that_ends_says_its_last_words(monkeypatch, tmp_path):
    monkeypatch.setattr(serve, "rclone", lambda folder, keys: (["serve", "nothing"], {}, 1, []))
    with (
        pytest.raises(SystemExit, match=r"^Error: rclone ended with status \d+: \S"),
        serve.served("rclone", tmp_path, KEYS),
    ):
        pass


def test_a_server_that_never_answers_is_ended(monkeypatch, tmp_path):
    """Another one has its port, perhaps."""
    monkeypatch.setattr(serve, "_READY", 0.0)
    monkeypatch.setattr(serve, "answers", lambda *_: False)
    with pytest.raises(SystemExit, match="rclone still starts"), serve.served("rclone", tmp_path, KEYS):
        pass


def test_settings_of_the_person_do_not_count(monkeypatch, tmp_path):
    """Such as another place for its keys."""
    monkeypatch.setenv("RCLONE_ADDR", "0.0.0.0:1")
    monkeypatch.setenv("RCLONE_READ_ONLY", "true")
    with serve.served("rclone", tmp_path, KEYS) as address:
        assert address.startswith("http://127.0.0.1:")
        assert serve.answers(int(address.rpartition(":")[2]), BOB, KEYS[BOB])
        assert not serve.answers(int(address.rpartition(":")[2]), BOB, KEYS[ANN])
    assert os.environ["RCLONE_READ_ONLY"] == "true"
