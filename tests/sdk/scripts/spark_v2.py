"""SDK v2, unchanged: PySparkProcessor."""

import sys
import time

from sagemaker import Session, get_execution_role
from sagemaker.processing import ProcessingInput, ProcessingOutput
from sagemaker.s3 import S3Downloader, S3Uploader
from sagemaker.spark.processing import PySparkProcessor


def main():
    session = Session()
    place, bucket = sys.argv[1], f"s3://{session.default_bucket()}"
    S3Uploader.upload_string_as_file_body("one\ntwo\nthree\n", f"{bucket}/words/words.txt", sagemaker_session=session)
    processor = PySparkProcessor(
        base_job_name="spark-v2",
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
        inputs=[ProcessingInput(source=f"{bucket}/words", destination="/opt/ml/processing/words")],
        outputs=[ProcessingOutput(source="/opt/ml/processing/output", destination=f"{bucket}/counted-{sys.argv[2]}")],
        configuration=[{"Classification": "spark-defaults", "Properties": {"spark.sql.shuffle.partitions": "3"}}],
        spark_event_logs_s3_uri=f"{bucket}/events-{sys.argv[2]}",
        wait=False,
    )
    job = processor.latest_job
    while (found := job.describe())["ProcessingJobStatus"] in ("InProgress", "Stopping"):
        time.sleep(0.5)
    assert found["ProcessingJobStatus"] == "Completed", found
    uris = S3Downloader.list(f"{bucket}/counted-{sys.argv[2]}", sagemaker_session=session)
    texts = [uri for uri in uris if not uri.endswith(".crc")]
    read = {uri.rpartition("/")[2]: S3Downloader.read_file(uri, sagemaker_session=session) for uri in texts}
    assert read["counted.csv"].split() == ["3,2", "5,1"], read
    assert read["hosts"].split() == [f"algo-{number + 1}" for number in range(int(sys.argv[2]))], read
    assert ("_SUCCESS" in read) is (sys.argv[2] == "1")
    assert S3Downloader.list(f"{bucket}/events-{sys.argv[2]}", sagemaker_session=session)
    print("spark: all done")


if __name__ == "__main__":
    main()
