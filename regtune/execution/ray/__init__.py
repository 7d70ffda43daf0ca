"""A phase on a cluster: the only folder that starts Ray."""
