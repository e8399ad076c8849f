"""The instances of a job as ResourceConfig asks for them. Pure.

Source: API reference, ResourceConfig and InstanceGroup; Developer Guide, "Distributed training configuration".
"""

from __future__ import annotations

from collections.abc import Sequence

from wildsage.services.sagemaker.instance.hosts import HOMOGENEOUS, Host
from wildsage.store.codec import Document


def hosts(document: Document) -> tuple[Host, ...]:
    """algo-1 … algo-N of a create document that ``rules.check`` let pass."""
    resources = document["ResourceConfig"]
    whole = {
        "InstanceGroupName": HOMOGENEOUS,
        "InstanceType": resources.get("InstanceType"),
        "InstanceCount": resources.get("InstanceCount"),
    }
    found: list[Host] = []
    for group in resources.get("InstanceGroups") or [whole]:
        for _ in range(group["InstanceCount"]):
            name = f"algo-{len(found) + 1}"
            found.append(Host(len(found), name, group["InstanceGroupName"], group["InstanceType"]))
    return tuple(found)


def sharing(every: Sequence[Host], host: Host, groups: Sequence[str]) -> tuple[int, int] | None:
    """Where ``host`` stands among those that a channel goes to, as (index, count); None if it is not one of them.

    ``groups``: the channel's InstanceGroupNames; empty: all instances (API reference, S3DataSource).
    """
    among = [each for each in every if not groups or each.group in groups]
    return (among.index(host), len(among)) if host in among else None
