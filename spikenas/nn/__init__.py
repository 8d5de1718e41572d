"""The network: neurons, stems, mixers, heads, and how an Architecture becomes a module.

Importing this package or a family imports no torch: families only register their components.
"""
