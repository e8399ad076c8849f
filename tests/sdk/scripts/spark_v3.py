"""SDK v3, unchanged: PySparkProcessor."""

import sys
import time

from sagemaker.core.helper.session_helper import Session, get_execution_role
from sagemaker.core.s3 import S3Downloader, S3Uploader
from sagemaker.core.shapes import ProcessingInput, ProcessingOutput, ProcessingS3Input, ProcessingS3Output
from sagemaker.core.spark.processing import PySparkProcessor


def main():
    session = Session()
    place, bucket = sys.argv[1], f"s3://{session.default_bucket()}"
    S3Uploader.upload_string_as_file_body(
        "one\ntwo\nthree\n", f"{bucket}/words-v3/words.txt", sagemaker_session=session
    )
    source = ProcessingS3Input(
        s3_uri=f"{bucket}/words-v3",
        local_path="/opt/ml/processing/words",
        s3_data_type="S3Prefix",
        s3_input_mode="File",
    )
    target = ProcessingS3Output(
        s3_uri=f"{bucket}/counted-v3-{sys.argv[2]}",
        local_path="/opt/ml/processing/output",
        s3_upload_mode="EndOfJob",
    )
    processor = PySparkProcessor(
        base_job_name="spark-v3",
        framework_version="3.5",
        role=get_execution_role(),
        instance_count=int(sys.argv[2]),
        instance_type="ml.m5.xlarge",
        sagemaker_session=session,
    )
    processor.run(
        submit_app=f"{place}/spark/count.py",
        submit_py_files=[f"{place}/spark/words.py"],
        arguments=["--input", "/opt/ml/processing/words", "--output", "/opt/ml/processing/output"],
        inputs=[ProcessingInput(input_name="words", s3_input=source)],
        outputs=[ProcessingOutput(output_name="counted", s3_output=target)],
        configuration=[{"Classification": "spark-defaults", "Properties": {"spark.sql.shuffle.partitions": "3"}}],
        spark_event_logs_s3_uri=f"{bucket}/events-v3-{sys.argv[2]}",
        wait=False,
    )
    job = processor.latest_job
    job.refresh()
    while job.processing_job_status in ("InProgress", "Stopping"):
        time.sleep(0.5)
        job.refresh()
    assert job.processing_job_status == "Completed", job
    uris = S3Downloader.list(f"{bucket}/counted-v3-{sys.argv[2]}", sagemaker_session=session)
    texts = [uri for uri in uris if not uri.endswith(".crc")]
    read = {uri.rpartition("/")[2]: S3Downloader.read_file(uri, sagemaker_session=session) for uri in texts}
    assert read["counted.csv"].split() == ["3,2", "5,1"], read
    assert read["hosts"].split() == [f"algo-{number + 1}" for number in range(int(sys.argv[2]))], read
    assert ("_SUCCESS" in read) is (sys.argv[2] == "1")
    assert S3Downloader.list(f"{bucket}/events-v3-{sys.argv[2]}", sagemaker_session=session)
    print("spark: all done")


if __name__ == "__main__":
    main()
