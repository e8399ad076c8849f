"""SDK v3, unchanged: a ModelTrainer with an image of one's own, by the image's `train` and by a script."""

import sys
from pathlib import Path

from sagemaker.core.helper.session_helper import Session, get_execution_role
from sagemaker.core.training.configs import Compute, InputData, SourceCode
from sagemaker.train import ModelTrainer

image, data = sys.argv[2:]
SCRIPT = """
import json, os, sklearn
print("parameters", json.loads(os.environ["SM_HPS"]), "channel", sorted(os.listdir(os.environ["SM_CHANNEL_TRAINING"])))
open(os.path.join(os.environ["SM_MODEL_DIR"], "by-script"), "w").close()
"""


def train(session, name, **how):
    trainer = ModelTrainer(
        training_image=image,
        compute=Compute(instance_type="ml.m5.large", instance_count=1, volume_size_in_gb=5),
        hyperparameters={"max_leaf_nodes": 4},
        base_job_name=name,
        role=get_execution_role(),
        sagemaker_session=session,
        **how,
    )
    trainer.train(input_data_config=[InputData(channel_name="training", data_source=data)], wait=False)
    job = trainer._latest_training_job
    job.wait(poll=1)
    job.refresh()
    assert job.training_job_status == "Completed", job.failure_reason
    return job


def main():
    session = Session()
    train(session, "sdk3-byoc")
    folder = Path("source")
    folder.mkdir()
    (folder / "script.py").write_text(SCRIPT)
    train(session, "sdk3-byoc-script", source_code=SourceCode(source_dir=str(folder), entry_script="script.py"))
    print("byoc: all done")


if __name__ == "__main__":
    main()
