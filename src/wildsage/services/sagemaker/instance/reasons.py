"""FailureReason of a job whose container ended badly. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from wildsage.runtimes.base import Inspection

REASON_LIMIT = 1024
_NAMES_SHOWN = 5
# How a built-in algorithm says that the caller is at fault.
_CLIENT_ERROR, _CLIENT_ERROR_CODE = "ClientError: ", 2

# What the log of each job begins with, and what is no reason for anything (``Software.notice``).
_NOTICE = "[wildsage] The image "


def limit(reason: str, head: int = 200) -> str:
    """FailureReason holds 1,024 characters; the end of a long one says more than its middle.

    ``head``: characters of its beginning that are kept.
    """
    if len(reason) <= REASON_LIMIT:
        return reason
    return f"{reason[:head]} … {reason[-(REASON_LIMIT - head - 3) :]}"


def some(names: Sequence[str]) -> str:
    """The first few, for a line of a log: a name may hold anything, line ends too."""
    shown = ", ".join(names[:_NAMES_SHOWN])
    more = f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
    return "".join(each if each.isprintable() else "?" for each in shown) + more


def of_container(found: Inspection, failure: str, log: list[str], memory: str, kind: str) -> str:
    """Why a container that ended by itself made the job fail.

    ``failure``: what it said of that itself; ``log``: its last lines; ``memory``: what the instance type has; ``kind``:
    of job (training, processing).
    """
    code = found.exit_code if found.exit_code is not None else -1
    if found.out_of_memory:
        return limit(
            f"AlgorithmError: The {kind} container ran out of memory ({memory}). Please use an instance type with "
            f"more memory, or reduce the size of {kind} data processed on an instance., exit code: {code}"
        )
    said = "\n".join(line for line in log if not line.startswith(_NOTICE))
    words = failure.strip() or said.strip() or "the container wrote no output"
    ending = f", exit code: {code}"
    if words.startswith(_CLIENT_ERROR) and code == _CLIENT_ERROR_CODE:
        return limit(words[: 10 * REASON_LIMIT] + ending)
    return limit(f"AlgorithmError: {words}"[: 10 * REASON_LIMIT] + ending)


def of_lost(found: Inspection, kind: str) -> str:
    """Where the runtime knows what became of the container; else empty."""
    if not found.reason:
        return ""
    return limit(f"InternalServerError: The {kind} container was lost: {found.reason}. Please create the job again.")


def lost(kind: str, keeps: str) -> str:
    """``kind``: of job; ``keeps``: what of it might have been kept."""
    return (
        f"InternalServerError: The {kind} container vanished without an exit status: the machine or its processes were "
        f"killed. Nothing of its {keeps} was kept. Please create the job again."
    )
