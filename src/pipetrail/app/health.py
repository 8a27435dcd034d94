"""Liveness, readiness and metrics over HTTP. None of it shows an object's name."""

import asyncio
import os

from aiohttp import web

from pipetrail.app.metrics import CONTENT_TYPE, Metrics
from pipetrail.app.recorder import Recorder
from pipetrail.config import parse_address
from pipetrail.stores.sqlite import JournalError


def default_listen() -> str:
    """Loopback; inside a pod all interfaces, since the kubelet and Prometheus come from outside."""
    return "0.0.0.0:8380" if os.environ.get("KUBERNETES_SERVICE_HOST") else "127.0.0.1:8380"


class Health:
    """Serves ``/livez``, ``/readyz`` and ``/metrics`` until it is cancelled.

    :param listen: ``host:port``; port 0 takes a free one, which ``address`` then names.
    """

    def __init__(self, listen: str) -> None:
        self._host, self._port = parse_address(listen)
        self.address = ""
        self.listening = asyncio.Event()

    async def __call__(self, recorder: Recorder) -> None:
        """Serve for a recorder. :raises OSError: when the address is taken."""
        metrics = Metrics(recorder)

        async def livez(_: web.Request) -> web.Response:
            return web.Response(text="ok\n")

        async def readyz(_: web.Request) -> web.Response:
            reasons = recorder.blind()
            return web.Response(status=503 if reasons else 200, text="\n".join(reasons or ["ok"]) + "\n")

        async def show(_: web.Request) -> web.Response:
            try:
                body = await metrics.scrape()
            except JournalError as error:
                return web.Response(status=503, text=f"{error}\n")
            return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE})

        application = web.Application()
        application.add_routes([web.get("/livez", livez), web.get("/readyz", readyz), web.get("/metrics", show)])
        runner = web.AppRunner(application, access_log=None, handle_signals=False, shutdown_timeout=0.5)
        await runner.setup()
        try:
            site = web.TCPSite(runner, self._host, self._port)
            await site.start()
            found = runner.addresses[0]
            self.address = f"http://{found[0]}:{found[1]}"
            self.listening.set()
            await metrics.keep_counting()
        finally:
            await runner.cleanup()
