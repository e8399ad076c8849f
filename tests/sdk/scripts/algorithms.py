"""SDK v2's classes for Amazon's own algorithms, unchanged: fit(record_set), deploy, predict.

The jobs run at the same time, and boto3's waiters ask every second: the SDK's own waiting takes half a minute a time.
"""

import sys
import tarfile
from pathlib import Path

import numpy as np
import sagemaker
from sagemaker.amazon.kmeans import KMeans
from sagemaker.amazon.knn import KNN
from sagemaker.amazon.linear_learner import LinearLearner
from sagemaker.amazon.pca import PCA
from sagemaker.amazon.randomcutforest import RandomCutForest
from sagemaker.deserializers import CSVDeserializer
from sagemaker.estimator import Estimator
from sagemaker.inputs import TrainingInput
from sagemaker.s3 import S3Downloader
from sagemaker.serializers import CSVSerializer

FOLDER = Path(sys.argv[2])
INSTANCE = {"instance_count": 1, "instance_type": "ml.m5.large"}


def table(name):
    """A real data set that the tests have put there: features and labels, float32."""
    found = np.load(FOLDER / f"{name}.npz")
    return found["x"], found["y"]


def finished(session, estimator):
    """Waits for the job's end and returns its final metrics."""
    name = estimator.latest_training_job.name
    waiter = session.sagemaker_client.get_waiter("training_job_completed_or_stopped")
    waiter.wait(TrainingJobName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 600})
    described = session.describe_training_job(name)
    assert described["TrainingJobStatus"] == "Completed", described
    assert described["AlgorithmSpecification"]["MetricDefinitions"], described
    return {each["MetricName"]: each["Value"] for each in described["FinalMetricDataList"]}


def deployed(session, estimator, **options):
    predictor = estimator.deploy(1, "ml.m5.large", wait=False, **options)
    waiter = session.sagemaker_client.get_waiter("endpoint_in_service")
    waiter.wait(EndpointName=predictor.endpoint_name, WaiterConfig={"Delay": 1, "MaxAttempts": 600})
    return predictor


def take_away(predictor):
    predictor.delete_model()
    predictor.delete_endpoint()


def model_of(session, estimator):
    """The arrays in model.tar.gz."""
    place = FOLDER / estimator.latest_training_job.name
    S3Downloader.download(estimator.model_data, str(place), sagemaker_session=session)
    with tarfile.open(place / "model.tar.gz") as archive:
        archive.extractall(place)
    return np.load(place / "model_algo-1")


def values_of(records, name):
    return np.array([record.label[name].float32_tensor.values for record in records])


def kmeans(session, common):
    x, _ = table("iris")
    estimator = KMeans(k=3, **common)
    estimator.fit(estimator.record_set(x), wait=False)
    yield
    assert 0.4 < finished(session, estimator)["train:msd"] < 0.6
    predictor = deployed(session, estimator)
    answer = predictor.predict(x)
    clusters = values_of(answer, "closest_cluster").ravel()
    assert len(set(clusters[:50])) == 1, clusters[:50]
    centers = model_of(session, estimator)["centers"]
    expected = np.linalg.norm(x[:, None] - centers, axis=2).min(axis=1)
    np.testing.assert_allclose(values_of(answer, "distance_to_cluster").ravel(), expected, atol=1e-3)
    take_away(predictor)


def pca(session, common):
    x, _ = table("iris")
    estimator = PCA(num_components=2, **common)
    estimator.fit(estimator.record_set(x), wait=False)
    yield
    assert finished(session, estimator)["train:progress"] == 100
    singular = np.linalg.svd(x - x.mean(axis=0), compute_uv=False)[:2][::-1]
    np.testing.assert_allclose(model_of(session, estimator)["s"], singular, rtol=1e-4)


def knn(session, common):
    x, y = table("iris")
    estimator = KNN(k=5, sample_size=150, predictor_type="classifier", **common)
    estimator.fit([estimator.record_set(x, y), estimator.record_set(x, y, channel="test")], wait=False)
    yield
    assert finished(session, estimator)["test:accuracy"] > 0.95


def linear_learner(session, common):
    x, y = table("cancer")
    estimator = LinearLearner(predictor_type="binary_classifier", **common)
    train, test = estimator.record_set(x[::2], y[::2]), estimator.record_set(x[1::2], y[1::2], channel="test")
    estimator.fit([train, test], wait=False)
    yield
    found = finished(session, estimator)
    assert found["test:binary_classification_accuracy"] > 0.95, found
    assert {"train:objective_loss", "test:objective_loss", "train:objective_loss:final"} <= set(found), found
    predictor = deployed(session, estimator)
    labels = values_of(predictor.predict(x[1::2]), "predicted_label").ravel()
    assert abs((labels == y[1::2]).mean() - found["test:binary_classification_accuracy"]) < 0.01
    take_away(predictor)


def random_cut_forest(session, common):
    x, _ = table("iris")
    estimator = RandomCutForest(num_trees=50, num_samples_per_tree=3, **common)
    estimator.fit(estimator.record_set(x), wait=False)
    yield
    assert finished(session, estimator)["train:progress"] == 100


def xgboost(session, common):
    x, y = table("cancer")
    image = sagemaker.image_uris.retrieve("xgboost", session.boto_region_name, version="1.7-1")
    settings = {"num_round": 20, "objective": "binary:logistic", "eval_metric": "auc"}
    estimator = Estimator(image, hyperparameters=settings, **common)
    data = session.upload_data(str(FOLDER / "cancer.libsvm"), key_prefix="xgboost/train")
    channels = {name: TrainingInput(data, content_type="text/libsvm") for name in ("train", "validation")}
    estimator.fit(channels, wait=False)
    yield
    assert finished(session, estimator)["validation:auc"] > 0.99
    predictor = deployed(session, estimator, serializer=CSVSerializer(), deserializer=CSVDeserializer())
    scores = np.array([float(cell) for row in predictor.predict(x) for cell in row])
    assert ((scores > 0.5) == y).mean() > 0.97
    take_away(predictor)


def main():
    session = sagemaker.Session()
    common = {"role": sagemaker.get_execution_role(), "sagemaker_session": session, **INSTANCE}
    works = {
        work.__name__: work(session, common) for work in (kmeans, pca, knn, linear_learner, random_cut_forest, xgboost)
    }
    for work in works.values():
        next(work)
    for name, work in works.items():
        assert next(work, None) is None
        print(f"{name}: done", flush=True)
    print("algorithms: all done")


if __name__ == "__main__":
    main()
