"""The crawl in Redis: every transition is one Redis Function, all of it happens or none."""
