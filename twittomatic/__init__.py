"""Twittomatic: crawl a social graph, track what is said, trust what was collected."""

__version__ = "0.1.0"
