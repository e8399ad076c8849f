"""What Lambda answers and logs around an event, in AWS's words."""

from __future__ import annotations

import json

from wildsage.services.lambda_.rules import RESULT_BYTES
from wildsage.services.lambda_.workers import events
from wildsage.services.lambda_.workers.events import Event, Report

EVENT = Event("8476a536-e9f4-11e8-9739-2dfe598c3fcd", b"{}")


def test_an_answer_has_a_largest_size() -> None:
    assert events.answered(b"x" * RESULT_BYTES).error == ""
    assert events.answered(b"x" * (RESULT_BYTES + 1)).error == "Function.ResponseSizeTooLarge"


def test_a_report() -> None:
    outcome = events.answered(b"{}")
    assert Report(0.0012345, (128, 40), setup=0.25).line(EVENT, outcome) == (
        "REPORT RequestId: 8476a536-e9f4-11e8-9739-2dfe598c3fcd\tDuration: 1.23 ms\tBilled Duration: 2 ms\t"
        "Memory Size: 128 MB\tMax Memory Used: 40 MB\tInit Duration: 250.00 ms\t"
    )
    late = events.timed_out(EVENT, 3.0)
    assert Report(3.0, (128, 300)).line(EVENT, late).endswith("Max Memory Used: 128 MB\tStatus: timeout\t")


def test_a_time_out() -> None:
    late = events.timed_out(EVENT, 3.0)
    assert late.spent
    assert json.loads(late.payload) == {
        "errorType": "Sandbox.Timedout",
        "errorMessage": f"RequestId: {EVENT.request_id} Error: Task timed out after 3.00 seconds",
    }
    assert events.end_lines(EVENT, late, 3.0, 1_700_000_000.5) == [
        f"2023-11-14T22:13:20.500Z {EVENT.request_id} Task timed out after 3.00 seconds",
        f"END RequestId: {EVENT.request_id}",
    ]


def test_how_a_process_can_end() -> None:
    def words(code: int | None, out_of_memory: bool = False) -> str:
        found = json.loads(events.exited(EVENT, code, out_of_memory).payload)
        return f"{found['errorType']} {found['errorMessage'].partition('Error: ')[2]}"

    assert words(1) == "Runtime.ExitError Runtime exited with error: exit status 1"
    assert words(0) == "Runtime.ExitError Runtime exited without providing a reason"
    assert words(None) == "Runtime.ExitError Runtime exited without providing a reason"
    assert words(139) == "Runtime.ExitError Runtime exited with error: signal: segmentation fault"
    assert words(137, True) == "Runtime.OutOfMemory Runtime exited with error: signal: killed"
