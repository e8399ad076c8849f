"""Many models behind one endpoint: a detector for each handwritten digit, loaded when it is first asked.

    wildsage run -- python examples/manymodels/deploy.py

1. A processing job (code/train.py) leaves ten models below one S3 prefix, and images that it did not learn from.
2. MultiDataModel serves whatever lies below that prefix. A request names its model (TargetModel); the first one for a
   model waits until it is fetched and loaded, which takes some ten milliseconds.
3. What is put there later can be asked at once: here the zero's detector under another name.
"""

import csv
from pathlib import Path

import sagemaker
from sagemaker.deserializers import JSONDeserializer
from sagemaker.multidatamodel import MultiDataModel
from sagemaker.processing import ProcessingOutput
from sagemaker.serializers import JSONSerializer
from sagemaker.sklearn import SKLearnModel
from sagemaker.sklearn.processing import SKLearnProcessor

HERE = Path(__file__).parent
INSTANCE, SKLEARN = "ml.m5.large", "1.2-1"

session, role = sagemaker.Session(), sagemaker.get_execution_role()
name = sagemaker.utils.name_from_base("digits")
base = f"s3://{session.default_bucket()}/{name}"

processor = SKLearnProcessor(SKLEARN, role, 1, INSTANCE, sagemaker_session=session)
outputs = [
    ProcessingOutput(source=f"/opt/ml/processing/output/{each}", destination=f"{base}/{each}")
    for each in ("models", "test")
]
processor.run(str(HERE / "code" / "train.py"), outputs=outputs, logs=False)

model = SKLearnModel(
    None, role, str(HERE / "code" / "inference.py"), framework_version=SKLEARN, sagemaker_session=session
)
many = MultiDataModel(name, f"{base}/models/", model=model, sagemaker_session=session)
predictor = many.deploy(1, INSTANCE, serializer=JSONSerializer(), deserializer=JSONDeserializer())
try:
    rows = list(csv.reader(sagemaker.s3.S3Downloader.read_file(f"{base}/test/test.csv", session).splitlines()))
    images = [[float(cell) for cell in row[1:]] for row in rows]
    detectors = sorted(many.list_models())
    chances = [predictor.predict(images, target_model=each) for each in detectors]
    guesses = [max(range(10), key=lambda digit: chances[digit][number]) for number in range(len(rows))]
    right = sum(guess == int(row[0]) for guess, row in zip(guesses, rows, strict=True))
    print(f"{len(detectors)} models; {right} of {len(rows)} images recognised")
    many.add_model(f"{base}/models/digit-0.tar.gz", "another.tar.gz")
    print("another:", predictor.predict(images, target_model="another.tar.gz") == chances[0])
finally:
    predictor.delete_endpoint()
