"""Searches in a table of results that others trained: the table, and one search in it."""
