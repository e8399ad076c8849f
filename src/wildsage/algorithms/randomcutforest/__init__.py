"""Random cut forest (Developer Guide, "Random Cut Forest (RCF) Algorithm").

forest.py      builds the trees and scores points, in numpy
fitting.py     the training job
serving.py     the model file, and predictions

The forest is written here because no library on PyPI fits: rrcf is pure Python (a minute for what takes a second
here), has another score (CoDisp) and was last released in 2023; bindings of AWS's own Java or Rust need a JVM or have
one author and a model format nobody else reads.  The algorithm is that of Guha et al., "Robust Random Cut Forest Based
Anomaly Detection on Streams" (ICML 2016), the score that of AWS's open-source implementation: numbers are comparable.
"""
