"""Output for people: tables for terminals, plots as PNG and HTML.

Only this package converts to percentages; everywhere else accuracy is 0 to 1.
"""
