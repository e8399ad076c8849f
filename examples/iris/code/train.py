"""Trains a classifier on Fisher's iris data, as a SageMaker script-mode job, and serves it."""

import argparse
import os
from pathlib import Path

import joblib
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score, train_test_split


def model_fn(model_dir):
    """What the model server calls once to load the model."""
    return joblib.load(Path(model_dir) / "model.joblib")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--regularization", type=float, default=1.0)
    parser.add_argument("--train", default=os.environ.get("SM_CHANNEL_TRAIN"))
    parser.add_argument("--model-dir", default=os.environ.get("SM_MODEL_DIR"))
    arguments = parser.parse_args()

    table = pd.concat(pd.read_csv(path) for path in sorted(Path(arguments.train).glob("*.csv")))
    # As str: pandas gives Python objects, which numpy answers as a pickle, and clients refuse to load those.
    features, species = table.drop(columns="species").to_numpy(), table["species"].to_numpy().astype(str)
    fit_x, test_x, fit_y, test_y = train_test_split(features, species, test_size=0.2, random_state=7, stratify=species)

    model = LogisticRegression(C=1 / arguments.regularization, max_iter=500)
    for fold, score in enumerate(cross_val_score(model, fit_x, fit_y, cv=5), 1):
        print(f"fold={fold} fold_accuracy={score:.4f};", flush=True)
    model.fit(fit_x, fit_y)
    print(f"rows={len(table)} test_accuracy={model.score(test_x, test_y):.4f};", flush=True)
    joblib.dump(model, Path(arguments.model_dir) / "model.joblib")


if __name__ == "__main__":
    main()
