"""The report on this machine; what it says depends on the machine, that it says it does not."""

from __future__ import annotations

from wildsage.runtimes.sandbox.probe import probe


async def test_probe() -> None:
    findings = await probe()
    assert findings[0].subject == "system"
    assert all(finding.detail for finding in findings)
    assert all(finding.works or finding.remedy for finding in findings)
    subjects = [finding.subject for finding in findings]
    assert len(subjects) == len(set(subjects))
    if all(finding.works for finding in findings if finding.needed):
        assert {"container", "memory limit", "CPU limit", "layers"} <= set(subjects)
