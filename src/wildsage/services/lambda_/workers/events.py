"""An event on its way through a worker, and what came of it. Pure."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime

from wildsage.core.functions import LATEST
from wildsage.services.lambda_.rules import RESULT_BYTES

EXITED = "Runtime.ExitError"
INVALID_ENTRYPOINT = "Runtime.InvalidEntrypoint"
OUT_OF_MEMORY = "Runtime.OutOfMemory"
TIMED_OUT = "Sandbox.Timedout"
_PROGRAM = re.compile(r"""exec(?:utable file)?:? [`"]([^`"]+)[`"]""")  # in an engine's words
_CAUSES = ("permission denied", "exec format error", "is a directory")


@dataclass(frozen=True, slots=True)
class Event:
    """``request_id``: of the call that brought it; ``client_context``: JSON, or empty."""

    request_id: str
    payload: bytes
    client_context: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """``payload``: what the function returned, or a JSON document of what went wrong, of the type ``error``.

    ``log``: the end of what was logged meanwhile. ``spent``: the worker cannot be used again.
    """

    payload: bytes
    error: str = ""
    spent: bool = False
    log: bytes = b""


def answered(payload: bytes) -> Outcome:
    """By the function. An answer that is too large is none."""
    if len(payload) > RESULT_BYTES:
        return too_large()
    return Outcome(payload)


def too_large() -> Outcome:
    words = f"Response payload size exceeded maximum allowed payload size ({RESULT_BYTES} bytes)."
    return fault("Function.ResponseSizeTooLarge", words)


def fault(kind: str, words: str, spent: bool = False) -> Outcome:
    return Outcome(json.dumps({"errorType": kind, "errorMessage": words}).encode(), kind, spent)


def timed_out(event: Event, seconds: float) -> Outcome:
    return fault(TIMED_OUT, f"RequestId: {event.request_id} Error: Task timed out after {seconds:.2f} seconds", True)


def exited(event: Event, code: int | None, out_of_memory: bool) -> Outcome:
    """The worker's process ended. ``code``: as a shell tells it; None if nobody saw."""
    words = "Runtime exited without providing a reason"
    if out_of_memory:
        words = "Runtime exited with error: signal: killed"
    elif code is not None and code > 128:
        words = f"Runtime exited with error: signal: {_SIGNALS.get(code - 128, code - 128)}"
    elif code:
        words = f"Runtime exited with error: exit status {code}"
    kind = OUT_OF_MEMORY if out_of_memory else EXITED
    return fault(kind, f"RequestId: {event.request_id} Error: {words}", True)


def not_begun(event: Event, words: str) -> Outcome:
    """The image's program cannot be started; ``words``: why, as the engine has it.

    Go's words for a path that cannot be executed, and Lambda's own for a name that is found nowhere.
    """
    low = words.lower()
    found = _PROGRAM.search(words)
    program = found[1] if found else ""
    cause = next((each for each in _CAUSES if each in low), "no such file or directory")
    said = f"fork/exec {program}: {cause}"
    if "/" not in program and cause not in low:
        said = f"Couldn't find valid bootstrap(s): [{program}]"
    return fault(INVALID_ENTRYPOINT, f"RequestId: {event.request_id} Error: {said}", True)


def init_line(seconds: float) -> str:
    """What is logged of a start that came to nothing."""
    return (
        f"INIT_REPORT Init Duration: {seconds * 1000:.2f} ms\tPhase: init\tStatus: error\t"
        f"Error Type: {INVALID_ENTRYPOINT}"
    )


_SIGNALS = {6: "aborted", 9: "killed", 11: "segmentation fault", 15: "terminated"}  # as Go's runtime names them


def start_line(event: Event) -> str:
    return f"START RequestId: {event.request_id} Version: {LATEST}"


def end_lines(event: Event, outcome: Outcome, limit: float, now: float) -> list[str]:
    """What is logged between the function's own last words and REPORT."""
    lines = []
    if outcome.error == TIMED_OUT:
        at = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
        lines.append(f"{at} {event.request_id} Task timed out after {limit:.2f} seconds")
    elif outcome.error in (EXITED, OUT_OF_MEMORY, INVALID_ENTRYPOINT):
        lines += [json.loads(outcome.payload)["errorMessage"], outcome.error]
    return [*lines, f"END RequestId: {event.request_id}"]


@dataclass(frozen=True, slots=True)
class Report:
    """The last line. ``memory``: (MemorySize, most held), in MB; ``setup``: seconds that a cold start took."""

    seconds: float
    memory: tuple[int, int]
    setup: float | None = None

    def line(self, event: Event, outcome: Outcome) -> str:
        """Source: Developer Guide, "Lambda function logging in Python"; fields end with tabs."""
        milliseconds = self.seconds * 1000
        fields = [
            f"REPORT RequestId: {event.request_id}",
            f"Duration: {milliseconds:.2f} ms",
            f"Billed Duration: {math.ceil(milliseconds)} ms",
            f"Memory Size: {self.memory[0]} MB",
            f"Max Memory Used: {min(self.memory[1], self.memory[0])} MB",
        ]
        if self.setup is not None:
            fields.append(f"Init Duration: {self.setup * 1000:.2f} ms")
        if outcome.error == TIMED_OUT:
            fields.append("Status: timeout")
        elif outcome.error in (EXITED, OUT_OF_MEMORY):
            fields += ["Status: error", f"Error Type: {outcome.error}"]
        return "\t".join(fields) + "\t"
