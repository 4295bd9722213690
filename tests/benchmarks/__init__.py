"""Benchmarks: each beside a reference in the same run, so that the figure is a ratio and not a property of the machine."""
