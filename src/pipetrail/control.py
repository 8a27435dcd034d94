"""The Unix socket beside a journal, over which other commands ask the recorder that writes it.

One JSON line is the request, one the answer: ``{"ok": true, "result": …}`` or ``{"ok": false, "error": "…"}``. The
socket is the user's own (mode 0600).
"""

import asyncio
import contextlib
import json
import os
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

Request = dict[str, Any]
Handler = Callable[[Request], Awaitable[Any]]

_MOST = 1 << 20  # bytes of a request
_PATH_MOST = 100  # bytes of a socket's path (the kernel takes 107)


def socket_path(journal: str) -> str:
    """Where the socket of a journal is. A path that is too long for the kernel goes through the folder's descriptor."""
    return journal + ".sock"


@contextlib.contextmanager
def _short(path: str) -> Any:
    """A name of the path that is short enough for a socket."""
    if len(os.fsencode(path)) <= _PATH_MOST or not sys.platform.startswith("linux"):
        yield path
        return
    folder = os.open(os.path.dirname(path) or ".", os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{os.path.basename(path)}"
    finally:
        os.close(folder)


def ask(journal: str, request: Request, seconds: float = 3600.0) -> Request | None:
    """Ask the recorder of a journal; None where none is running.

    :raises TimeoutError: when it does not answer in time.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
        try:
            with _short(socket_path(journal)) as path:
                line.connect(path)
        except (FileNotFoundError, ConnectionRefusedError):
            return None
        line.settimeout(seconds)
        line.sendall(json.dumps(request).encode() + b"\n")
        answer = b""
        while not answer.endswith(b"\n"):
            part = line.recv(65536)
            if not part:
                return {"ok": False, "error": "the recorder ended before it answered"}
            answer += part
    found: Request = json.loads(answer)
    return found


@asynccontextmanager
async def answering(journal: str, handlers: Mapping[str, Handler]) -> AsyncIterator[None]:
    """Answer requests while the block runs. ``handlers`` has one for each word under ``do``."""

    open_lines: set[asyncio.StreamWriter] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        open_lines.add(writer)
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
                data = await reader.readuntil(b"\n")
                writer.write(json.dumps(await _answer(data, handlers)).encode() + b"\n")
                await writer.drain()
        finally:
            open_lines.discard(writer)
            writer.close()

    path = socket_path(journal)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)  # left by a recorder that was killed: the journal's lock says that none is running
    with _short(path) as name:
        before = os.umask(0o177)
        try:
            server = await asyncio.start_unix_server(serve, name, limit=_MOST)
        finally:
            os.umask(before)
    try:
        yield
    finally:
        server.close()
        for line in open_lines:
            line.close()  # a client that says nothing must not hold up the end
        await server.wait_closed()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)


async def _answer(data: bytes, handlers: Mapping[str, Handler]) -> Request:
    try:
        request = json.loads(data)
        handler = handlers.get(str(request.get("do"))) if isinstance(request, dict) else None
        if handler is None:
            return {"ok": False, "error": f"unknown request; this recorder knows {', '.join(sorted(handlers))}"}
        return {"ok": True, "result": await handler(request)}
    except Exception as error:
        return {"ok": False, "error": str(error) or type(error).__name__}
