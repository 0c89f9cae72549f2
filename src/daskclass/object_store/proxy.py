"""What is a server asked? A proxy that counts requests and bytes, and can answer badly or late on purpose.

It knows who asks by the access key in the signature, as the log of a real store does. It passes everything on as it
came, so that signatures stay valid.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

import aiohttp
from aiohttp import web
from yarl import URL

_T = TypeVar("_T")
_BLOCK = 1 << 18  # bytes to pass on at once
_PATIENCE = 30.0  # seconds to wait for requests that have come
_KEY = re.compile(r"Credential=([^/]+)/")
_OWN = {"connection", "keep-alive", "transfer-encoding", "expect", "te", "trailer", "upgrade"}  # of one connection
_ADDED = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")  # by aiohttp, if a request lacks them


@dataclass(frozen=True)
class Request:
    """What a store was asked, and what it answered.

    Attributes
    ----------
    method : str
    bucket, name : str
        Of the object; `name` is empty if the bucket itself was meant, for example its list.
    key : str or None
        The access key that signed it.
    status : int
        0 if the client or the store broke off.
    ranged : bool
        Whether it asked for a range of bytes.
    copied : bool
        Whether the store should copy an object that it has.
    received, sent : int
        Bytes of the body that came to the store, and that it sent.
    """

    method: str
    bucket: str
    name: str
    key: str | None
    status: int
    ranged: bool
    copied: bool
    received: int
    sent: int


@dataclass
class _Fault:
    when: Callable[[str, str], bool]
    status: int | None
    seconds: float
    left: float


@dataclass
class _State:
    target: str
    came: int = 0
    running: set[int] = field(default_factory=set)
    requests: list[Request] = field(default_factory=list)
    faults: list[_Fault] = field(default_factory=list)
    news: threading.Condition = field(default_factory=threading.Condition)


class Proxy:
    """A proxy in a thread of this process. Close it.

    Parameters
    ----------
    target : str
        Address of the server, such as ``http://127.0.0.1:9000``.

    Attributes
    ----------
    address : str
        Its own address.
    """

    def __init__(self, target: str) -> None:
        self._state = _State(target)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(name="proxy of the store", target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._session, self._runner, port = self._run(_start(self._state))
        self.address = f"http://127.0.0.1:{port}"

    def _run(self, work: Coroutine[object, object, _T]) -> _T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def requests(self) -> list[Request]:
        """All requests that have ended.

        A client has its answer a moment before its request ends here. So this waits for those that have come, half a
        minute at most.
        """
        with self._state.news:
            come = set(self._state.running)
            self._state.news.wait_for(lambda: not come & self._state.running, timeout=_PATIENCE)
            return list(self._state.requests)

    @contextlib.contextmanager
    def fault(
        self,
        when: Callable[[str, str], bool],
        *,
        status: int | None = None,
        seconds: float = 0.0,
        times: int | None = None,
    ) -> Iterator[None]:
        """Answer badly or late while the block runs.

        Parameters
        ----------
        when : callable
            Takes a request's method and the path of its object, such as ``/orders/part-0.parquet``.
        status : int, optional
            The answer, instead of the store's.
        seconds : float
            How long to wait before each answer.
        times : int, optional
            For so many requests; by default for all.
        """
        fault = _Fault(when, status, seconds, float("inf") if times is None else times)
        with self._state.news:
            self._state.faults.append(fault)
        try:
            yield
        finally:
            with self._state.news:
                self._state.faults.remove(fault)

    def close(self) -> None:
        """Close all connections, and end."""
        self._run(_stop(self._session, self._runner))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


async def _start(state: _State) -> tuple[aiohttp.ClientSession, web.AppRunner, int]:
    session = aiohttp.ClientSession(
        auto_decompress=False,
        skip_auto_headers=_ADDED,
        connector=aiohttp.TCPConnector(limit=0),
        timeout=aiohttp.ClientTimeout(total=None),
        trust_env=False,
    )

    async def passed(request: web.Request) -> web.StreamResponse:
        return await _passed_on(request, session, state)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", passed)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    return session, runner, int(runner.addresses[0][1])


async def _stop(session: aiohttp.ClientSession, runner: web.AppRunner) -> None:
    await session.close()
    await runner.cleanup()


async def _passed_on(request: web.Request, session: aiohttp.ClientSession, state: _State) -> web.StreamResponse:
    received = sent = status = 0
    headers = request.headers
    signed = _KEY.search(headers.get("Authorization", ""))
    _, bucket, name = [*request.rel_url.path.split("/", 2), "", ""][:3]

    async def body() -> AsyncIterator[bytes]:
        nonlocal received
        async for piece in request.content.iter_chunked(_BLOCK):
            received += len(piece)
            yield piece

    with state.news:
        state.came += 1
        mine = state.came
        state.running.add(mine)
    try:
        for fault in _of(request, state):
            await asyncio.sleep(fault.seconds)
            if fault.status is not None:
                status = fault.status
                return web.Response(status=status, text=_error(status), content_type="application/xml")
        own = {one.strip().lower() for one in headers.get("Connection", "").split(",")} | _OWN
        if not request.body_exists:
            own.add("content-length")  # aiohttp says that there is none
        async with session.request(
            request.method,
            URL(state.target + request.raw_path, encoded=True),
            headers=[(name, value) for name, value in headers.items() if name.lower() not in own],
            data=body() if request.body_exists else None,
            allow_redirects=False,
        ) as answer:
            response = web.StreamResponse(status=answer.status, reason=answer.reason)
            for header, value in answer.headers.items():
                if header.lower() not in _OWN:
                    response.headers.add(header, value)
            await response.prepare(request)
            async for piece in answer.content.iter_chunked(_BLOCK):
                await response.write(piece)
                sent += len(piece)
            await response.write_eof()
            status = answer.status
            return response
    finally:
        told = Request(
            method=request.method,
            bucket=bucket,
            name=name,
            key=signed[1] if signed else None,
            status=status,
            ranged="Range" in headers,
            copied="x-amz-copy-source" in headers,
            received=received,
            sent=sent,
        )
        with state.news:
            state.requests.append(told)
            state.running.remove(mine)
            state.news.notify_all()


def _of(request: web.Request, state: _State) -> list[_Fault]:
    """The faults that this request meets."""
    with state.news:
        found = [fault for fault in state.faults if fault.left > 0 and fault.when(request.method, request.path)]
        for fault in found:
            fault.left -= 1
    return found


def _error(status: int) -> str:
    code = {503: "SlowDown", 500: "InternalError"}.get(status, "Error")
    return f'<?xml version="1.0" encoding="UTF-8"?><Error><Code>{code}</Code><Message>Injected.</Message></Error>'
