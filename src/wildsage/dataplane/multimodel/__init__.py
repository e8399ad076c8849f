"""Multi-model endpoints: which instance has which model loaded, and what happens to requests for one that none has.

places.py      where models are loaded, by instance; which instance answers
invoking.py    the way of one invocation, from its model's name to the model
asking.py      control is asked to load
"""
