"""SDK v2, unchanged: ScriptProcessor, SKLearnProcessor and FrameworkProcessor."""

import json
import sys
import time

from sagemaker import Session, get_execution_role, image_uris
from sagemaker.processing import FrameworkProcessor, ProcessingInput, ProcessingOutput, ScriptProcessor
from sagemaker.s3 import S3Downloader, S3Uploader
from sagemaker.sklearn import SKLearn
from sagemaker.sklearn.processing import SKLearnProcessor


def finished(job):
    """The SDK itself looks every ten seconds."""
    while (found := job.describe())["ProcessingJobStatus"] in ("InProgress", "Stopping"):
        time.sleep(0.2)
    assert found["ProcessingJobStatus"] == "Completed", found
    return found


def read(output):
    return {uri.rpartition("/")[2]: S3Downloader.read_file(uri) for uri in S3Downloader.list(output.destination)}


def main():
    session = Session()
    place = sys.argv[1]
    data = f"s3://{session.default_bucket()}/numbers"
    for number in (1, 2):
        S3Uploader.upload_string_as_file_body(str(number), f"{data}/{number}", sagemaker_session=session)
    common = {"role": get_execution_role(), "instance_type": "ml.m5.large", "sagemaker_session": session}
    run = {"arguments": ["--times", "3"], "logs": False}

    def inputs(**more):
        return [ProcessingInput(source=data, destination="/opt/ml/processing/input/data", **more)]

    def outputs(**more):
        return [ProcessingOutput(source="/opt/ml/processing/output", **more)]

    processor = SKLearnProcessor(framework_version="1.2-1", instance_count=1, env={"COLOR": "red"}, **common)
    processor.run(
        code=f"{place}/processing/summary.py", inputs=inputs(), outputs=outputs(), arguments=["--times", "2"], logs=True
    )
    found = read(processor.latest_job.outputs[0])
    assert found.pop("algo-1.json") == json.dumps({"color": "red", "lib": False})
    assert found == {"1": "2", "2": "4"}, found

    image = image_uris.retrieve("sklearn", session.boto_region_name, version="1.2-1", instance_type="ml.m5.large")
    script = ScriptProcessor(image_uri=image, command=["python3"], instance_count=2, **common)
    shared = {
        "inputs": inputs(s3_data_distribution_type="ShardedByS3Key"),
        "outputs": outputs(s3_upload_mode="Continuous"),
    }
    script.run(code=f"{place}/processing/summary.py", wait=False, **shared, **run)
    framework = FrameworkProcessor(estimator_cls=SKLearn, framework_version="1.2-1", instance_count=1, **common)
    framework.run(
        code="summary.py", source_dir=f"{place}/processing", inputs=inputs(), outputs=outputs(), wait=False, **run
    )
    finished(script.latest_job)
    found = read(script.latest_job.outputs[0])
    assert sorted(found) == ["1", "2", "algo-1.json", "algo-2.json"], found
    finished(framework.latest_job)
    found = read(framework.latest_job.outputs[0])
    assert json.loads(found["algo-1.json"])["lib"] is True, found
    assert found["2"] == "6"
    print("processing: all done")


if __name__ == "__main__":
    main()
