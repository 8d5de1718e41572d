"""How every bench measures: sides alternated in one process, medians, and what they ran on."""

from measuring.document import Result, print_document
from measuring.options import options, without_compiler
from measuring.rounds import Rounds, alternate

__all__ = [
    "Result",
    "Rounds",
    "alternate",
    "options",
    "print_document",
    "without_compiler",
]
