"""Many models in one container, as AWS asks for it (Developer Guide, "Custom Containers Contract for Multi-Model
Endpoints").

front.py    POST /models and its neighbours; one process that has imported the framework and loads no model itself
model.py    one loaded model: a process forked from the front, with a socket of its own
learning.py what models import, so that the next need not
"""
