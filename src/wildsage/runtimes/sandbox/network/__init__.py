"""A network that only the containers on it share: a bridge and a namespace for each host, held by one small process.

Nothing of it is in the machine's own network namespace, so nothing of it can be left behind there: when the process
that holds it and the containers on it are gone, the kernel takes the bridge and the interfaces away.
"""
