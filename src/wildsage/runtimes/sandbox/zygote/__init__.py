"""A process that has modules in memory already, and of which containers are forked instead of being executed.

main.py      the process itself, under the container's interpreter: standard library only
keep.py      control's side: starts one for each interpreter and set of modules, and finds it again
"""
