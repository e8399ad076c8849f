"""XGBoost's built-in mode: what the image does where no entry point is given.

Source: aws/sagemaker-xgboost-container (``algorithm_mode``), whose names, checks, words and files these are.

parameters.py  hyperparameters declared and checked
channels.py    channels and content types checked
matrices.py    files → DMatrix
measures.py    metrics that XGBoost itself does not have
fitting.py     training, cross validation, checkpoints
container.py   from start to exit status
serving.py     the model's answers
"""
