"""Linear learner (Developer Guide, "Linear Learner Algorithm"): linear and logistic regression, classification.

declared.py   hyperparameters
solvers.py    loss and regularization → weights, by scikit-learn
scores.py     the metrics that the image logs
threshold.py  from which score on a record is positive
fitting.py    one model for each regularization, the best of them kept
serving.py    the model file, and predictions
"""
