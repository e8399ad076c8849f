"""Fits the scaling of the wine table's columns, and writes the rows that XGBoost trains on: label first, no header."""

import json
import tarfile
from pathlib import Path

import joblib
import pandas as pd
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

PLACE = Path("/opt/ml/processing")


def main():
    table = pd.read_csv(PLACE / "input" / "wine.csv")
    names = sorted(table["cultivar"].unique())
    columns = table.drop(columns="cultivar").to_numpy()
    scaling = make_pipeline(SimpleImputer(strategy="median"), StandardScaler()).fit(columns)
    rows = pd.DataFrame(scaling.transform(columns))
    rows.insert(0, "label", [names.index(each) for each in table["cultivar"]])
    rows.to_csv(PLACE / "train" / "train.csv", index=False, header=False)

    joblib.dump(scaling, "scaling.joblib")
    Path("names.json").write_text(json.dumps(names))
    with tarfile.open(PLACE / "model" / "model.tar.gz", "w:gz") as archive:
        archive.add("scaling.joblib")
        archive.add("names.json")


if __name__ == "__main__":
    main()
