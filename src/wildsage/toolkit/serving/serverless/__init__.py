"""Serverless: one process holds the loaded model, and forks a worker for whoever comes.

start.py    the terms, the template process, and what stands in where it cannot be forked
pool.py     accepts connections, forks workers, watches their memory, ends those that are idle
worker.py   a worker: one connection at a time
board.py    what pool and workers know of one another, in shared memory
forking.py  whether a process may be forked, and what a fork must do first
"""
