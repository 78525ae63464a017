"""Measurements: one module per claim, each beside a peer or a floor, in one run on one machine. Not installed."""

BENCHES = ("twin", "pages", "start")
"""Every measurement: the module of this package that has ``measure(size, say)``, in the order of the README's table."""
