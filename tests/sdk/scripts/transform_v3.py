"""SDK v3, unchanged: Transformer of sagemaker.core and of ModelBuilder, and the TransformJob resource."""

import sys

from sagemaker.core import image_uris
from sagemaker.core.helper.session_helper import Session, get_execution_role
from sagemaker.core.resources import Model
from sagemaker.core.shapes import ContainerDefinition
from sagemaker.core.transformer import Transformer


def main():
    session = Session()
    bucket = session.default_bucket()
    image = image_uris.retrieve("sklearn", session.boto_region_name, version="1.2-1", instance_type="ml.m5.large")
    session.upload_string_as_file_body('{"id": 1, "x": 2}\n{"id": 2, "x": 5}\n', bucket, "v3/lines/a.jsonl")
    definition = ContainerDefinition(
        image=image, model_data_url=sys.argv[2], environment={"SAGEMAKER_PROGRAM": "inference.py"}
    )
    model = Model.create(
        model_name="transform-v3", primary_container=definition, execution_role_arn=get_execution_role()
    )
    transformer = Transformer(
        model_name="transform-v3",
        instance_count=1,
        instance_type="ml.m5.large",
        strategy="MultiRecord",
        assemble_with="Line",
        accept="application/jsonlines",
        output_path=f"s3://{bucket}/v3/out",
        sagemaker_session=session,
    )
    transformer.transform(
        f"s3://{bucket}/v3/lines",
        content_type="application/jsonlines",
        split_type="Line",
        input_filter="$.x",
        join_source="Input",
        output_filter="$['id','SageMakerOutput']",
        wait=False,
    )
    job = transformer.latest_transform_job
    job.wait(poll=1)
    job.refresh()
    assert job.transform_job_status == "Completed", job
    text = session.read_s3_file(bucket, "v3/out/a.jsonl.out")
    assert text == '{"id":1,"SageMakerOutput":4}\n{"id":2,"SageMakerOutput":10}\n', text
    attached = Transformer.attach(job.transform_job_name, sagemaker_session=session)
    assert attached.output_path == f"s3://{bucket}/v3/out", attached.output_path
    model.delete()
    print("transform: all done")


if __name__ == "__main__":
    main()
