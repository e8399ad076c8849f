"""An inference pipeline: scikit-learn scales, XGBoost predicts, a script names what it found, behind one endpoint.

    wildsage run -- python examples/pipeline/deploy.py

The data is the wine table that scikit-learn bundles (wine.csv): 13 measurements of 178 wines of three cultivars.

1. A processing job (code/prepare.py) fits the scaling. It leaves a model.tar.gz and the scaled table.
2. A training job of the built-in XGBoost algorithm learns the cultivars from the scaled table.
3. PipelineModel puts three containers into one model. A request goes from one to the next:

       client ── CSV or JSON ──► preprocess.py ── CSV ──► XGBoost ── CSV ──► postprocess.py ── JSON ──► client

   What a container answers is the next one's request, with its Content-Type. Only the last is told what the client
   accepts, so the first is told by SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT that XGBoost wants text/csv.

The logs of the containers are in /aws/sagemaker/Endpoints/<endpoint>, a stream each: AllTraffic/<instance>/container-1
and so on; an error of one names it, and ContainerLatency in CloudWatch says what each takes.
"""

import csv
from pathlib import Path

import sagemaker
from sagemaker.deserializers import JSONDeserializer
from sagemaker.estimator import Estimator
from sagemaker.inputs import TrainingInput
from sagemaker.pipeline import PipelineModel
from sagemaker.predictor import Predictor
from sagemaker.processing import ProcessingInput, ProcessingOutput
from sagemaker.serializers import CSVSerializer
from sagemaker.sklearn import SKLearnModel
from sagemaker.sklearn.processing import SKLearnProcessor

HERE = Path(__file__).parent
INSTANCE, SKLEARN = "ml.m5.large", "1.2-1"


def prepared(session, role):
    """Where the scaled table and the model of the scaling are."""
    processor = SKLearnProcessor(SKLEARN, role, 1, INSTANCE, sagemaker_session=session)
    processor.run(
        code=str(HERE / "code" / "prepare.py"),
        inputs=[ProcessingInput(source=str(HERE / "wine.csv"), destination="/opt/ml/processing/input")],
        outputs=[
            ProcessingOutput(output_name=name, source=f"/opt/ml/processing/{name}") for name in ("train", "model")
        ],
        logs=False,
    )
    train, model = (each.destination for each in processor.latest_job.outputs)
    return train, f"{model}/model.tar.gz"


def trained(session, role, train):
    """The estimator of the built-in algorithm, trained."""
    estimator = Estimator(
        sagemaker.image_uris.retrieve("xgboost", session.boto_region_name, version="1.7-1"),
        role,
        1,
        INSTANCE,
        hyperparameters={"objective": "multi:softprob", "num_class": 3, "num_round": 20, "max_depth": 3},
        sagemaker_session=session,
    )
    estimator.fit({"train": TrainingInput(train, content_type="text/csv")})
    return estimator


def script(name, data, role, session, **env):
    """A container of the scikit-learn image with one of the scripts."""
    return SKLearnModel(
        data,
        role,
        f"{name}.py",
        source_dir=str(HERE / "code"),
        framework_version=SKLEARN,
        env=env,
        sagemaker_session=session,
    )


def main():
    session, role = sagemaker.Session(), sagemaker.get_execution_role()
    train, data = prepared(session, role)
    model = PipelineModel(
        [
            script("preprocess", data, role, session, SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT="text/csv"),
            trained(session, role, train).create_model(),
            script("postprocess", data, role, session),
        ],
        role,
        Predictor,
        sagemaker_session=session,
    )
    predictor = model.deploy(1, INSTANCE, serializer=CSVSerializer(), deserializer=JSONDeserializer())
    with (HERE / "wine.csv").open() as file:
        rows = list(csv.reader(file))[1:]
    found = predictor.predict([row[:-1] for row in rows])
    right = sum(each["cultivar"] == row[-1] for each, row in zip(found, rows, strict=True))
    print(f"{right} of {len(rows)} wines recognised; the first: {found[0]}")
    unmeasured = ["", *rows[0][1:-1]]
    print(f"without its alcohol: {predictor.predict([unmeasured])[0]}")
    predictor.delete_endpoint()
    model.delete_model()


if __name__ == "__main__":
    main()
