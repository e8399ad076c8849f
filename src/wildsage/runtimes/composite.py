"""The machine's runtimes as one: a launch with an image goes to the container engine, one without to the sandbox."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping

from wildsage.core.errors import RuntimeRefused
from wildsage.runtimes.base import Capability, Handle, Inspection, LaunchSpec, LogLine, NetworkSpec, Runtime, Usage


class Composite:
    """``runtimes``: by name, of which ``native`` runs what has no image and ``engine`` the rest.

    Every handle says which runtime made it, and goes back to that one.
    """

    name = "composite"

    def __init__(self, runtimes: Mapping[str, Runtime], native: str, engine: str) -> None:
        self._runtimes = runtimes
        self._native = native
        self._engine = engine
        self.capabilities: frozenset[Capability] = frozenset().union(*(each.capabilities for each in runtimes.values()))

    def _for(self, any_image: bool) -> Runtime:
        return self._runtimes[self._engine if any_image else self._native]

    def _of(self, handle: Handle) -> Runtime:
        try:
            return self._runtimes[handle["runtime"]]
        except KeyError as error:
            raise RuntimeRefused(f"No runtime {handle['runtime']} here, which {handle['name']} belongs to.") from error

    async def connect(self, spec: NetworkSpec) -> Handle:
        return await self._for(spec.any_image).connect(spec)

    def reaches_outside(self, network: Handle) -> bool:
        return self._of(network).reaches_outside(network)

    async def launch(self, spec: LaunchSpec) -> Handle:
        chosen = self._for(bool(spec.image))
        if spec.joins is not None and self._of(spec.joins) is not chosen:
            raise RuntimeRefused(f"{spec.name} cannot join a network of the runtime {spec.joins['runtime']}.")
        return await chosen.launch(spec)

    async def inspect(self, handle: Handle) -> Inspection:
        return await self._of(handle).inspect(handle)

    async def wait(self, handle: Handle) -> Inspection:
        return await self._of(handle).wait(handle)

    async def usage(self, handle: Handle) -> Usage | None:
        return await self._of(handle).usage(handle)

    def logs(self, handle: Handle, offset: int = 0, follow: bool = False) -> AsyncIterator[LogLine]:
        return self._of(handle).logs(handle, offset, follow)

    async def release(self, handle: Handle, offset: int) -> None:
        await self._of(handle).release(handle, offset)

    async def stop(self, handle: Handle, grace: float) -> None:
        await self._of(handle).stop(handle, grace)

    async def remove(self, handle: Handle) -> None:
        await self._of(handle).remove(handle)

    def address_of(self, handle: Handle) -> str:
        return self._of(handle).address_of(handle)
