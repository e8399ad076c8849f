"""SDK v2, unchanged: estimator.transformer with filters and a join, model.transformer, logs, attach, PipelineModel."""

import sys
import time

from sagemaker import Session, get_execution_role
from sagemaker.pipeline import PipelineModel
from sagemaker.s3 import S3Downloader, S3Uploader
from sagemaker.sklearn import SKLearn, SKLearnModel
from sagemaker.transformer import Transformer

EXAMPLES = sys.argv[2]
ROWS = {"one": [5.1, 3.5, 1.4, 0.2], "two": [6.7, 3.0, 5.2, 2.3]}


def finished(describe, kind):
    """The SDK itself looks every ten seconds."""
    while (found := describe())[f"{kind}JobStatus"] in ("InProgress", "Stopping"):
        time.sleep(0.2)
    assert found[f"{kind}JobStatus"] == "Completed", found
    return found


def main():
    session, role = Session(), get_execution_role()
    bucket = session.default_bucket()
    lines = "".join(",".join(map(str, [name, *row])) + "\n" for name, row in ROWS.items())
    data = S3Uploader.upload_string_as_file_body(lines, f"s3://{bucket}/v2/rows/rows.csv", sagemaker_session=session)
    code = {"entry_point": "train.py", "source_dir": f"{EXAMPLES}/iris/code", "framework_version": "1.2-1"}
    estimator = SKLearn(instance_type="ml.m5.large", role=role, sagemaker_session=session, **code)
    iris = S3Uploader.upload(f"{EXAMPLES}/iris/iris.csv", f"s3://{bucket}/v2/iris", sagemaker_session=session)
    estimator.fit({"train": iris}, wait=False)
    name = estimator.latest_training_job.name
    finished(lambda: session.describe_training_job(name), "Training")

    def described(transformer):
        return finished(lambda: session.describe_transform_job(transformer.latest_transform_job.name), "Transform")

    def read(transformer):
        return S3Downloader.read_file(f"{transformer.output_path}/rows.csv.out", sagemaker_session=session)

    shape = {"instance_count": 1, "instance_type": "ml.m5.large", "accept": "text/csv", "assemble_with": "Line"}
    asked = {"content_type": "text/csv", "split_type": "Line", "input_filter": "$[1:]", "wait": False}
    transformer = estimator.transformer(strategy="MultiRecord", max_payload=1, max_concurrent_transforms=2, **shape)
    transformer.transform(
        data,
        join_source="Input",
        output_filter="$[0,-1]",
        model_client_config={"InvocationsTimeoutInSeconds": 60, "InvocationsMaxRetries": 1},
        **asked,
    )
    described(transformer)
    assert read(transformer) == "one,setosa\ntwo,virginica\n", read(transformer)
    session.logs_for_transform_job(transformer.latest_transform_job.name)
    attached = Transformer.attach(transformer.latest_transform_job.name, sagemaker_session=session)
    assert (attached.strategy, attached.max_payload, attached.output_path) == (
        "MultiRecord",
        1,
        transformer.output_path,
    )

    archive = session.describe_training_job(name)["ModelArtifacts"]["S3ModelArtifacts"]
    model = SKLearnModel(model_data=archive, role=role, sagemaker_session=session, **code)
    transformer = model.transformer(strategy="SingleRecord", env={"COLOR": "red"}, **shape)
    transformer.transform(f"s3://{bucket}/v2/rows/", **asked)
    described(transformer)
    assert read(transformer) == "setosa\nvirginica\n", read(transformer)

    shout = SKLearnModel(
        model_data=archive,
        role=role,
        sagemaker_session=session,
        entry_point="shout.py",
        source_dir=f"{sys.argv[1]}/transform",
        framework_version="1.2-1",
    )
    steps = PipelineModel(models=[model, shout], role=role, sagemaker_session=session)
    transformer = steps.transformer(env={"SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT": "text/csv"}, **shape)
    transformer.transform(data, **asked)
    described(transformer)
    assert read(transformer) == "SETOSA\nVIRGINICA\n", read(transformer)
    print("transform: all done")


if __name__ == "__main__":
    main()
