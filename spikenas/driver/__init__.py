"""The loop of a search: ask, check, submit, record, tell."""

from spikenas.driver.entry import resume, search
from spikenas.driver.progress import OnProgress, Progress

__all__ = ["OnProgress", "Progress", "resume", "search"]
