"""Serves S3 on a port of 127.0.0.1 until it's told to end.

    python -m daskclass.object_store.serve PROGRAM FOLDER KEYS

PROGRAM is ``weed`` or ``rclone``. FOLDER is empty, and goes away with whoever made it. KEYS is a file with a JSON
object of access keys and their secrets. Prints ``ready http://127.0.0.1:PORT``.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import sysconfig
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

_READY = 60.0  # seconds for the server to start
_LOOK = 0.05
_PARTS = ("master", "master.grpc", "volume", "volume.grpc", "filer", "filer.grpc", "s3.grpc")


def free_ports(number: int) -> list[int]:
    """So many different ports of 127.0.0.1 that are free now."""
    with contextlib.ExitStack() as probes:
        ports = []
        for _ in range(number):
            probe = probes.enter_context(socket.socket())
            probe.bind(("127.0.0.1", 0))
            ports.append(int(probe.getsockname()[1]))
        return ports


def rclone(folder: Path, keys: Mapping[str, str]) -> tuple[list[str], dict[str, str], int, list[Path]]:
    """rclone's command, its variables, its port, and what it leaves behind."""
    [port] = free_ports(1)
    pairs = ",".join(f'"{key},{secret}"' for key, secret in keys.items())
    command = ["serve", "s3", "--addr", f"127.0.0.1:{port}", "--config", os.devnull, str(folder)]
    return command, {"RCLONE_AUTH_KEY": pairs}, port, []


def weed(folder: Path, keys: Mapping[str, str]) -> tuple[list[str], dict[str, str], int, list[Path]]:
    """SeaweedFS's command, its variables, its port, and what it leaves behind."""
    port, *others = free_ports(1 + len(_PARTS))
    identities = [
        {
            "name": key,
            "credentials": [{"accessKey": key, "secretKey": secret}],
            "actions": ["Admin", "Read", "Write", "List", "Tagging"],
        }
        for key, secret in keys.items()
    ]
    settings = folder / "identities.json"
    settings.touch(mode=0o600)
    settings.write_text(json.dumps({"identities": identities}), encoding="utf-8")
    (folder / "data").mkdir()
    command = [
        *("-logtostderr=true", "server", f"-dir={folder / 'data'}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"),
        *("-s3", f"-s3.port={port}", f"-s3.config={settings}", "-s3.port.iceberg=0", "-s3.port.lance=0"),
        *("-master.telemetry=false", "-master.volumeSizeLimitMB=256", "-volume.max=100"),
    ]
    for part, its_port in zip(_PARTS, others, strict=True):
        name, _, kind = part.partition(".")
        command.append(f"-{name}.port{'.' * bool(kind)}{kind}={its_port}")
    # It makes these in /tmp wherever the temporary folder is, and forgets them when it's killed.
    sockets = [Path("/tmp", f"seaweedfs-s3-{port}.sock")]
    for part, its_port in zip(_PARTS, others, strict=True):
        sockets.append(Path("/tmp", f"seaweedfs-{part.replace('.', '-')}-{its_port}.sock"))
    return command, {"TMPDIR": str(folder)}, port, sockets


def answers(port: int, key: str, secret: str) -> bool:
    """Whether the server does there what it's asked. It answers before all of its parts have found each other."""
    session = botocore.session.Session()
    quick = Config(connect_timeout=2, read_timeout=2, retries={"total_max_attempts": 1}, proxies={})
    client = session.create_client(
        "s3",
        endpoint_url=f"http://127.0.0.1:{port}",
        region_name="us-east-1",
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        config=quick,
    )
    try:
        if "ready" not in [bucket["Name"] for bucket in client.list_buckets()["Buckets"]]:  # from the last time
            client.create_bucket(Bucket="ready")
        client.put_object(Bucket="ready", Key="yes", Body=b"yes")
        client.delete_object(Bucket="ready", Key="yes")
        client.delete_bucket(Bucket="ready")
    except (BotoCoreError, ClientError):
        return False
    finally:
        client.close()
    return True


@contextlib.contextmanager
def served(program: str, folder: Path, keys: Mapping[str, str]) -> Iterator[str]:
    """The address of the server. It's killed at the end: nothing that it holds is wanted any longer."""
    arguments, variables, port, leftovers = {"rclone": rclone, "weed": weed}[program](folder, keys)
    found = Path(sysconfig.get_path("scripts"), program + (".exe" if os.name == "nt" else ""))
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("RCLONE_", "WEED_"))}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [str(found), *arguments],
            env=environment | variables,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    first = next(iter(keys.items()))
    try:
        deadline = time.monotonic() + _READY
        while not answers(port, *first):
            if process.poll() is not None or time.monotonic() > deadline:
                said = (folder / "log").read_text(encoding="utf-8", errors="replace").splitlines()
                state = "still starts" if process.poll() is None else f"ended with status {process.returncode}"
                raise SystemExit(f"Error: {program} {state}: {said[-1] if said else 'it said nothing'}")
            time.sleep(_LOOK)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()
        for path in leftovers:
            path.unlink(missing_ok=True)


def main() -> None:
    program, folder = sys.argv[1], Path(sys.argv[2]).resolve()
    keys = json.loads(Path(sys.argv[3]).read_text(encoding="utf-8"))
    for name in [name for name in os.environ if name.startswith("AWS_")]:  # a person's profile may not be here
        del os.environ[name]
    os.environ["AWS_CONFIG_FILE"] = os.environ["AWS_SHARED_CREDENTIALS_FILE"] = os.devnull
    told = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: told.set())
    signal.signal(signal.SIGINT, lambda *_: told.set())
    with served(program, folder, keys) as address:
        print(f"ready {address}", flush=True)
        told.wait()


if __name__ == "__main__":
    main()
