"""Amazon's built-in algorithms, as the images of the same names run them.

train.py            trains: run by its path where no entry point is given
serve.py            answers requests: called by the toolkit's model server
job.py              what SageMaker tells a training container: hyperparameters, channels, hosts
hyperparameters.py  declared, and checked as the images check them
errors.py           how a training job fails: exit status, failure file, words
logs.py             the log format that the algorithms' own metric definitions read
formats/            CSV, libsvm, RecordIO-protobuf and Parquet, in and out
hosting/            requests and responses that these algorithms have in common
catalogue.py        the algorithms by the names of their images
kmeans.py, knn.py, pca.py, linear_learner/, randomcutforest/, xgboost/

It runs under the interpreter of a native image, Python 3.9 or later, with numpy and scikit-learn (XGBoost's with
xgboost); the mathematics are theirs.  It imports nothing else of Wildsage, and itself only relatively.
"""
