"""Makes a container, and the network it is on, in the engine; and takes both away again."""

from __future__ import annotations

import os
import time

from wildsage.runtimes.containers.api import Api, EngineError, EngineGone
from wildsage.runtimes.containers.attendant.order import Document, Order

ERRANDS = PORTS, FILES = "ports", "files"
"""What ends the names of the containers that do what takes root (see ``errands``)."""

_OVERLAPS = ("overlap", "already used", "conflicts with")
_REMOVED_WITHIN = 30.0  # seconds, for what the engine takes away at its own pace


class Made:
    """``network``: the id of the one that was made for it alone, empty for none. ``address``: the container's there."""

    def __init__(self, container: str, network: str, address: str) -> None:
        self.container = container
        self.network = network
        self.address = address


def make(api: Api, order: Order) -> Made:
    """Raises EngineGone, EngineError; nothing is left behind then."""
    network, name, address = "", *(order.joins or ("", ""))
    if order.network is not None:
        name = order.network["Name"]
        network, address = make_network(api, order.network, order.places)
    try:
        return Made(_make_container(api, order, name, address), network, address)
    except BaseException:
        remove_network(api, network)
        raise


def make_network(api: Api, document: Document, places: tuple[tuple[str, str], ...]) -> tuple[str, str]:
    """Its id, and which place it has: the address that goes with the first subnet that is free."""
    _remove_namesakes(api, document["Name"])
    for subnet, address in places:
        try:
            wanted = {**document, "IPAM": {"Driver": "default", "Config": [{"Subnet": subnet}]}}
            made: str = api.call("POST", "/networks/create", wanted)["Id"]
            return made, address
        except EngineError as error:
            if not any(each in error.words.lower() for each in _OVERLAPS):
                raise
    raise EngineError(403, "no subnet is free for one more network")


def _remove_namesakes(api: Api, name: str) -> None:
    """What a launch that was killed halfway left under the name: nobody knows it, for no state was written."""
    filters = f'{{"name":["^{name}$"]}}'
    for found in api.call("GET", f"/networks?filters={quoted(filters)}"):
        for container in api.call("GET", f"/networks/{found['Id']}").get("Containers") or {}:
            remove_container(api, container)
        remove_network(api, found["Id"])


def quoted(text: str) -> str:
    """For a query."""
    return "".join(each if each.isalnum() else f"%{ord(each):02X}" for each in text)


def _make_container(api: Api, order: Order, network: str, address: str) -> str:
    host = {**order.container["HostConfig"], "NetworkMode": network or "none"}
    document = {**order.container, "HostConfig": host}
    if network:
        endpoint = {"Aliases": [document["Hostname"]], "IPAMConfig": {"IPv4Address": address}}
        document["NetworkingConfig"] = {"EndpointsConfig": {network: endpoint}}
    name = order.name
    for attempt in range(2):
        try:
            made: str = api.call("POST", f"/containers/create?name={name}", document)["Id"]
            return made
        except EngineError as error:
            if error.status != 409 or attempt:
                raise
            remove_container(api, name)  # of a launch that was killed halfway
    raise AssertionError("the second attempt returns or raises")


def remove_container(api: Api, container: str) -> None:
    """With its nameless volumes, whether it runs or not; returns when it is gone. Raises EngineGone, EngineError."""
    _gone(api, f"/containers/{container}", "?force=1&v=1")


def remove_network(api: Api, network: str) -> None:
    """Returns when it is gone. Raises EngineGone, EngineError."""
    if network:
        _gone(api, f"/networks/{network}", "")


def _gone(api: Api, path: str, how: str) -> None:
    end = time.monotonic() + _REMOVED_WITHIN
    while True:
        try:
            api.call("DELETE", path + how)
        except EngineError as error:
            # 404: it is gone. 409, 403: somebody takes it, or what is on it, away at this moment.
            if error.status == 404:
                return
            if error.status not in (403, 409) or time.monotonic() > end:
                raise
            time.sleep(0.05)


def remove(api: Api, made: Made, name: str) -> None:
    """Container ``name``, its network, and what somebody who was killed left of errands. Raises as the others do."""
    for errand in ERRANDS if os.geteuid() != 0 else ():
        remove_container(api, f"{name}-{errand}")
    remove_container(api, made.container)
    remove_network(api, made.network)


def try_to_remove(api: Api, made: Made, name: str) -> None:
    """At the end of an attendant: what cannot be removed now, control's sweep takes."""
    try:
        remove(api, made, name)
    except (EngineGone, EngineError) as error:
        os.write(2, f"[wildsage] the container could not be removed: {error}\n".encode())
