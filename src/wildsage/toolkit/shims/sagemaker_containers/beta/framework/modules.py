"""Scripts import this beside its neighbours and use nothing of it."""
