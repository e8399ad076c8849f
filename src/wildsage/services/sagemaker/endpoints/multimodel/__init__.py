"""The models of multi-model endpoints, as control looks after them: fetched, loaded, unloaded.

container.py  the contract's calls: POST /models and its neighbours
blame.py      models whose loading ends their container
turns.py      how many at a time
shelf.py      the models of one instance: on its disk, in its container, and on their way there
loading.py    what routers ask; finds the instance and its shelf
counting.py   LoadedModelCount
"""
