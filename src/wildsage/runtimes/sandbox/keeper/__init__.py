"""The keeper: a small process of its own that holds one container, so that control can come and go.

Runs as ``python -I -S``; its modules import nothing but builtin modules, ``os`` and ``ctypes``, because every import
is paid for by each container in start-up time and memory.
"""
