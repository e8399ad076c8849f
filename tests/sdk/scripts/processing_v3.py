"""SDK v3, unchanged: ScriptProcessor and FrameworkProcessor."""

import json
import sys
import time

from sagemaker.core import image_uris
from sagemaker.core.helper.session_helper import Session, get_execution_role
from sagemaker.core.processing import FrameworkProcessor, ScriptProcessor
from sagemaker.core.s3 import S3Downloader, S3Uploader
from sagemaker.core.shapes import ProcessingInput, ProcessingOutput, ProcessingS3Input, ProcessingS3Output


def finished(job):
    """The SDK itself looks every few seconds."""
    job.refresh()
    while job.processing_job_status in ("InProgress", "Stopping"):
        time.sleep(0.2)
        job.refresh()
    assert job.processing_job_status == "Completed", job
    return job


def main():
    session = Session()
    place = sys.argv[1]
    data = f"s3://{session.default_bucket()}/numbers-v3"
    for number in (1, 2):
        S3Uploader.upload_string_as_file_body(str(number), f"{data}/{number}", sagemaker_session=session)
    image = image_uris.retrieve("sklearn", session.boto_region_name, version="1.2-1", instance_type="ml.m5.large")
    common = {
        "role": get_execution_role(),
        "image_uri": image,
        "instance_type": "ml.m5.large",
        "sagemaker_session": session,
    }
    source = ProcessingS3Input(
        s3_uri=data, local_path="/opt/ml/processing/input/data", s3_data_type="S3Prefix", s3_input_mode="File"
    )
    inputs = [ProcessingInput(input_name="data", s3_input=source)]

    def outputs(name):
        target = ProcessingS3Output(
            s3_uri=f"s3://{session.default_bucket()}/{name}",
            local_path="/opt/ml/processing/output",
            s3_upload_mode="EndOfJob",
        )
        return [ProcessingOutput(output_name="out", s3_output=target)]

    def read(name):
        uris = S3Downloader.list(f"s3://{session.default_bucket()}/{name}", sagemaker_session=session)
        return {uri.rpartition("/")[2]: S3Downloader.read_file(uri, sagemaker_session=session) for uri in uris}

    script = ScriptProcessor(command=["python3"], instance_count=1, env={"COLOR": "red"}, **common)
    script.run(
        code=f"{place}/processing/summary.py",
        inputs=inputs,
        outputs=outputs("script-v3"),
        arguments=["--times", "2"],
        logs=True,
    )
    found = read("script-v3")
    assert found.pop("algo-1.json") == json.dumps({"color": "red", "lib": False})
    assert found == {"1": "2", "2": "4"}, found

    framework = FrameworkProcessor(command=["python3"], instance_count=2, **common)
    framework.run(
        code="summary.py",
        source_dir=f"{place}/processing",
        inputs=inputs,
        outputs=outputs("framework-v3"),
        arguments=["--times", "3"],
        wait=False,
        logs=False,
    )
    finished(framework.latest_job)
    found = read("framework-v3")
    assert json.loads(found["algo-2.json"])["lib"] is True, found
    assert found["2"] == "6", found
    print("processing: all done")


if __name__ == "__main__":
    main()
