"""When a job begins anew, and what its time comes to."""

from __future__ import annotations

import pytest

from wildsage.core.errors import SettingsError
from wildsage.core.jobs import Interruptions, JobSettings, job_settings
from wildsage.services.sagemaker.training import attempts

SPOT = {
    "TrainingJobName": "job",
    "EnableManagedSpotTraining": True,
    "StoppingCondition": {"MaxRuntimeInSeconds": 100, "MaxWaitTimeInSeconds": 150},
}


def test_time_is_what_instances_work() -> None:
    state = attempts.anew({"began": 1000.0, "handles": {}, "retries": 1}, 1050.0, 1010.0)
    assert state == {"retries": 1, "spent": 10.0, "attempt": 1, "resume": 1050.0}
    again = {**state, "began": 1050.0}
    assert attempts.worked(again, 1060.0) == 20.0
    times = attempts.times(SPOT, again, 1060.0, JobSettings(spot_savings=80.0))
    assert times == {"TrainingTimeInSeconds": 20, "BillableTimeInSeconds": 4}
    assert attempts.times({}, again, 1060.0, JobSettings())["BillableTimeInSeconds"] == 20
    assert attempts.times(SPOT, {}, 1060.0, JobSettings()) == {}


def test_the_limit_counts_all_attempts() -> None:
    state = {"spent": 90.0, "attempt": 1, "began": 1130.0}
    assert attempts.limit(SPOT, state, 1000.0, 1131.0) == (1140.0, "MaxRuntimeExceeded")
    assert attempts.limit(SPOT, {"began": 1130.0}, 1000.0, 1130.0) == (1150.0, "MaxWaitTimeExceeded")
    plain = {"StoppingCondition": {"MaxRuntimeInSeconds": 100}}
    assert attempts.limit(plain, {"began": 1130.0}, 0.0, 1131.0) == (1230.0, "MaxRuntimeExceeded")


def test_a_schedule_is_the_same_each_time_and_differs_between_attempts() -> None:
    schedule = Interruptions("7", 60.0, 5.0)
    drawn = [attempts.drawn(SPOT, {"attempt": number}, 0.0, schedule) for number in range(200)]
    assert drawn == [attempts.drawn(SPOT, {"attempt": number}, 0.0, schedule) for number in range(200)]
    times = [each["interruption"]["at"] for each in drawn]
    assert len(set(times)) == 200
    assert 45 < sum(times) / 200 < 75
    asked = {"interruption": {"at": 1.0, "capacity": 0.0}}
    assert attempts.drawn(SPOT, asked, 0.0, schedule) == asked
    assert attempts.drawn({"TrainingJobName": "plain"}, {}, 0.0, schedule) == {}


def test_only_internal_errors_are_retried_and_only_so_often() -> None:
    spec = {"RetryStrategy": {"MaximumRetryAttempts": 2}}
    assert attempts.may_retry(spec, {"retries": 1}, "InternalServerError: lost")
    assert not attempts.may_retry(spec, {"retries": 2}, "InternalServerError: lost")
    assert not attempts.may_retry(spec, {}, "AlgorithmError: no")
    assert not attempts.may_retry({}, {}, "InternalServerError: lost")


def test_settings() -> None:
    found = job_settings(
        {
            "WILDSAGE_STOP_GRACE": "1.5",
            "WILDSAGE_JOBS_AT_ONCE": "3",
            "WILDSAGE_SPOT_SAVINGS": "60",
            "WILDSAGE_SPOT_INTERRUPTIONS": "seed=7, mean=60, capacity=5",
        }
    )
    assert found == JobSettings(1.5, 3, 60.0, Interruptions("7", 60.0, 5.0))
    assert job_settings({}) == JobSettings()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("WILDSAGE_STOP_GRACE", "long"),
        ("WILDSAGE_STOP_GRACE", "-1"),
        ("WILDSAGE_SPOT_SAVINGS", "100"),
        ("WILDSAGE_SPOT_INTERRUPTIONS", "seed=7"),
        ("WILDSAGE_SPOT_INTERRUPTIONS", "mean=0"),
        ("WILDSAGE_SPOT_INTERRUPTIONS", "mean=nan"),
        ("WILDSAGE_SPOT_INTERRUPTIONS", "mean=5,every=7"),
    ],
)
def test_settings_that_mean_nothing(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name):
        job_settings({name: value})
