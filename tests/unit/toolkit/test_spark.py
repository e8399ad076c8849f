"""``smspark-submit``: its command line and configuration, as aws/sagemaker-spark-container has them."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from wildsage.toolkit import spark


def test_options_end_at_the_application(tmp_path: Path) -> None:
    for name in ("b.py", "a.py"):
        (tmp_path / name).touch()
    words = ["--py-files", str(tmp_path), "--class", "Main", "-v", "app.py", "--files", "its-own"]
    options, properties, application = spark.parse(words)
    assert options == ["--py-files", f"{tmp_path}/a.py,{tmp_path}/b.py", "--class", "Main", "--verbose"]
    assert properties == {}
    assert application == ["app.py", "--files", "its-own"]


def test_event_logs_go_to_a_folder() -> None:
    _, properties, _ = spark.parse(["--local-spark-event-logs-dir", "/opt/ml/processing/spark-events/", "app.py"])
    assert properties == {
        "spark.eventLog.enabled": "true",
        "spark.eventLog.dir": "file:///opt/ml/processing/spark-events/",
    }


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ([], "no application"),
        (["--master", "yarn", "app.py"], "--master"),
        (["--jars", "s3://bucket/a.jar", "app.py"], "no S3 file system"),
        (["--files", "/nowhere/at/all", "app.py"], "does not exist"),
        (["--spark-event-logs-s3-uri", "s3://b/x", "app.py"], "--local-spark-event-logs-dir"),
    ],
)
def test_what_cannot_be_is_refused_in_words(words: list[str], reason: str) -> None:
    with pytest.raises(spark.Refused, match=reason):
        spark.parse(words)


def test_a_configuration_in_the_form_of_emr(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "configuration.json"
    export = {"Classification": "export", "Properties": {"LEVEL": "3"}}
    given = [
        {"Classification": "spark-defaults", "Properties": {"spark.sql.shuffle.partitions": "3"}},
        {"Classification": "core-site", "Properties": {"io.file.buffer.size": "4096"}},
        {"Classification": "spark-env", "Properties": {}, "Configurations": [export]},
        {"Classification": "spark-metrics", "Properties": {"x": "y"}},
    ]
    path.write_text(json.dumps(given))
    properties, variables = spark.configured(str(path))
    assert properties == {"spark.sql.shuffle.partitions": "3", "spark.hadoop.io.file.buffer.size": "4096"}
    assert variables == {"LEVEL": "3"}
    assert "spark-metrics changes nothing here" in capsys.readouterr().out
    assert spark.configured(str(tmp_path / "none")) == ({}, {})


def test_the_entry_point_is_a_program() -> None:
    program = Path(spark.__file__).parent / "bin" / "smspark-submit"
    assert os.access(program, os.X_OK)
    assert "/opt/wildsage/toolkit/spark.py" in program.read_text()
