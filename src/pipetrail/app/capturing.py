"""A live cluster into a recording."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from pipetrail.kube import discovery, errors
from pipetrail.kube.http import Api
from pipetrail.kube.kinds import CORE, Resource
from pipetrail.kube.login import Login
from pipetrail.kube.watch import DEFAULT_TIMING, Blind, Timing, Watch
from pipetrail.model import Micros
from pipetrail.sources.capture import Capture


class Capturing:
    """Captures one cluster until it is cancelled.

    :param namespaces: only these; all if empty. ``kinds``: only these resource keys; all if empty.
    """

    def __init__(
        self,
        login: Login,
        folder: Path,
        *,
        now: Callable[[], Micros],
        namespaces: tuple[str, ...] = (),
        kinds: tuple[str, ...] = (),
        timing: Timing = DEFAULT_TIMING,
        discovery_seconds: float = 60.0,
    ) -> None:
        self._login = login
        self._now = now
        self._namespaces = namespaces
        self._kinds = kinds
        self._timing = timing
        self._discovery_seconds = discovery_seconds
        self.capture = Capture(folder, now)
        self.trouble: dict[str, str] = {}

    async def run(self) -> None:
        """Capture for ever. :raises ApiError: when the first login fails."""
        await self._login.credentials()
        tasks: dict[str, asyncio.Task[None]] = {}
        try:
            async with Api(self._login) as api, asyncio.TaskGroup() as group:
                while True:
                    try:
                        served, _ = await discovery.discover(api)
                        self.trouble.pop("discovery", None)
                    except errors.ApiError as error:
                        served = list(CORE)
                        self.trouble["discovery"] = str(error)
                    for resource in served:
                        if self._kinds and resource.key not in self._kinds:
                            continue
                        if self._namespaces and not resource.namespaced:
                            continue
                        for namespace in self._namespaces or ("",):
                            name = f"{namespace}/{resource.key}" if namespace else resource.key
                            if name not in tasks or tasks[name].done():
                                tasks[name] = group.create_task(self._follow(api, resource, namespace, name))
                    await asyncio.sleep(self._discovery_seconds)
        finally:
            self.capture.close()

    async def _follow(self, api: Api, resource: Resource, namespace: str, name: str) -> None:
        watch = Watch(api, resource, namespace=namespace, now=self._now, timing=self._timing)
        async for signal in watch.follow(None):
            if isinstance(signal, Blind):
                self.trouble[name] = signal.reason
            else:
                self.trouble.pop(name, None)
                self.capture.take(resource, signal, namespace)
