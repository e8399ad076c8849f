import pytest

from wildsage.core.errors import SettingsError
from wildsage.core.invocations import InvocationLimits, invocation_limits


def test_the_limits_are_aws_s_unless_set() -> None:
    assert invocation_limits({}) == InvocationLimits(25 * 1024 * 1024, 60, 480, 1024 * 1024 * 1024)
    given = {
        "WILDSAGE_INVOKE_MB": "100",
        "WILDSAGE_INVOKE_MB_TOGETHER": "200",
        "WILDSAGE_INVOKE_SECONDS": "0.5",
        "WILDSAGE_INVOKE_STREAM_SECONDS": "900",
    }
    assert invocation_limits(given) == InvocationLimits(100 * 1024 * 1024, 0.5, 900, 200 * 1024 * 1024)


@pytest.mark.parametrize("text", ["", "x", "0", "-1", "nan", "1e9"])
def test_what_is_no_limit_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="WILDSAGE_INVOKE_MB must be"):
        invocation_limits({"WILDSAGE_INVOKE_MB": text})
