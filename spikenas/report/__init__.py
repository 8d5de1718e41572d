"""What people look at: tables for terminals, plots as PNG and HTML.

The only place where a share becomes a percentage; everywhere else accuracy is 0 to 1.
"""
