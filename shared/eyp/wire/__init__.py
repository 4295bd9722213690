"""The official spelling: names, namespaces and element orders of both generations."""
