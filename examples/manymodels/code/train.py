"""A processing job: a detector for each digit of scikit-learn's handwritten digits, each a model.tar.gz of its own."""

import csv
import io
import pickle
import tarfile
from pathlib import Path

from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split

OUTPUT = Path("/opt/ml/processing/output")

images, digits = load_digits(return_X_y=True)
train, test, known, expected = train_test_split(images / 16, digits, test_size=100, random_state=0)
for digit in range(10):
    detector = LogisticRegression(max_iter=1000).fit(train, known == digit)
    body = pickle.dumps(detector)
    with tarfile.open(OUTPUT / "models" / f"digit-{digit}.tar.gz", "w:gz") as archive:
        member = tarfile.TarInfo("model.pkl")
        member.size = len(body)
        archive.addfile(member, io.BytesIO(body))
with (OUTPUT / "test" / "test.csv").open("w", newline="") as file:
    csv.writer(file).writerows([int(digit), *map(float, image)] for digit, image in zip(expected, test, strict=True))
print("ten detectors written")
