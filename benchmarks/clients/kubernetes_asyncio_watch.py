"""The usual way in asynchronous Python: the typed watch of kubernetes-asyncio."""

import asyncio

from kubernetes_asyncio import client, watch  # type: ignore[import-untyped, unused-ignore]

from benchmarks.clients.outcome import arguments, report


async def read(url: str, count: int) -> int:
    """Watch from the list's version until `count` models are made."""
    configuration = client.Configuration(host=url)
    seen = 0
    async with client.ApiClient(configuration) as api:
        core = client.CoreV1Api(api)
        listed = await core.list_event_for_all_namespaces(limit=500)
        version = listed.metadata.resource_version
        async with watch.Watch().stream(core.list_event_for_all_namespaces, resource_version=version) as frames:
            async for _ in frames:
                seen += 1
                if seen == count:
                    break
    return seen


if __name__ == "__main__":
    report(asyncio.run(read(*arguments())))
