"""Where data ends up: the files that are the truth."""

from twittomatic.archive.gzip_files import GzipArchive

ARCHIVES = {"gzip": GzipArchive}
"""Storage backends by the name that settings give."""
