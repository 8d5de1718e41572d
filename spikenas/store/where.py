"""The filter language of ``--where``: ``accuracy > 0.9 and neuron in ('if', 'lif')``.

    filter     = and_terms { "or" and_terms }
    and_terms  = term { "and" term }
    term       = "not" term | "(" filter ")" | comparison
    comparison = operand op operand [ op operand ]
               | operand [ "not" ] "in" "(" value { "," value } ")"
    op         = "=" | "==" | "!=" | "<" | "<=" | ">" | ">="
    operand    = column | value          value = number | 'text' | "text"

A filter is compiled to an SQLAlchemy expression with bound parameters; its text never becomes part
of the SQL. A missing figure makes a comparison neither true nor false, as NULL does in SQL.
"""

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import BigInteger, Double, Text, and_, literal, not_, or_
from sqlalchemy.sql.expression import ColumnElement

from spikenas.evaluation import State
from spikenas.exceptions import UsageError, did_you_mean, in_short
from spikenas.figures import FIGURES
from spikenas.store.schema import architectures, evaluations

_OF_EVALUATIONS = (*FIGURES, "fidelity", "seed", "number", "wall_seconds", "state")
_OF_ARCHITECTURES = architectures.c.keys()[3:]  # without id, key and genes
COLUMNS: dict[str, ColumnElement[Any]] = {
    **{name: evaluations.c[name] for name in _OF_EVALUATIONS},
    **{name: architectures.c[name] for name in _OF_ARCHITECTURES},
}
MAX_LENGTH, MAX_DEPTH = 2000, 20  # far below the limits of the databases' parsers

_OPERATORS: dict[str, Callable[[Any, Any], ColumnElement[bool]]] = {
    "=": operator.eq,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_TOKEN = re.compile(
    r"""\s*(?:
        (?P<number>[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?(?![\w.]))
      | (?P<word>[^\W\d]\w*)
      | (?P<text>'[^']*'|"[^"]*")
      | (?P<symbol>==|!=|<=|>=|[=<>(),])
      | (?P<end>$)
    )""",
    re.VERBOSE | re.ASCII,
)
_KEYWORDS = ("and", "or", "not", "in")


def compile_where(text: str) -> ColumnElement[bool]:
    """Return the filter as an expression over ``evaluations`` joined with ``architectures``.

    Raises UsageError with the position, what was found and what was expected.
    """
    if not isinstance(text, str):
        raise UsageError(f"where = {in_short(text)}; needed: text, as 'accuracy > 0.9'")
    if len(text) > MAX_LENGTH:
        raise UsageError(f"the filter has {len(text)} characters; at most {MAX_LENGTH} are read")
    return _Parser(text).parse()


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    position: int


@dataclass(frozen=True, slots=True)
class _Operand:
    """A column or a value, and whether it is text."""

    expression: ColumnElement[Any]
    is_text: bool
    column: str | None
    token: _Token


class _Parser:
    """A recursive descent parser; ``_token`` is the next token that was not consumed."""

    def __init__(self, text: str) -> None:
        self._source = text
        self._token = self._read(0)
        self._depth = 0

    def parse(self) -> ColumnElement[bool]:
        found = self._filter()
        if self._token.kind != "end":
            raise self._error(self._token, "'and', 'or' or the end")
        return found

    def _filter(self) -> ColumnElement[bool]:
        terms = [self._and_terms()]
        while self._accept("or"):
            terms.append(self._and_terms())
        return or_(*terms)

    def _and_terms(self) -> ColumnElement[bool]:
        terms = [self._term()]
        while self._accept("and"):
            terms.append(self._term())
        return and_(*terms)

    def _term(self) -> ColumnElement[bool]:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise self._error(self._token, f"at most {MAX_DEPTH} levels of ( ) and not")
        found: ColumnElement[bool]
        if self._accept("not"):
            found = not_(self._term())
        elif self._accept("("):
            found = self._filter().self_group()
            self._expect(")")
        else:
            found = self._comparison()
        self._depth -= 1
        return found

    def _comparison(self) -> ColumnElement[bool]:
        left = self._operand()
        at = self._token
        if self._accept("not"):
            self._expect("in")
            return not_(self._membership(left))
        if self._accept("in"):
            return self._membership(left)
        if at.text not in _OPERATORS or at.kind != "symbol":
            raise self._error(at, "a comparison: = != < <= > >= in")
        comparisons: list[ColumnElement[bool]] = []
        while self._token.text in _OPERATORS and self._token.kind == "symbol":
            if len(comparisons) == 2:
                raise self._error(self._token, "'and', 'or' or the end")
            compare = _OPERATORS[self._token.text]
            self._advance()
            right = self._operand()
            self._require_comparable(left, right)
            comparisons.append(compare(left.expression, right.expression))
            left = right
        return and_(*comparisons)

    def _membership(self, left: _Operand) -> ColumnElement[bool]:
        self._expect("(")
        values: list[ColumnElement[Any]] = []
        while not values or self._accept(","):
            value = self._operand()
            if value.column:
                raise self._error(value.token, "a number or a quoted word")
            self._require_comparable(left, value)
            values.append(value.expression)
        self._expect(")")
        return left.expression.in_(values)

    def _operand(self) -> _Operand:
        token = self._token
        if token.kind == "word" and token.text not in _KEYWORDS:
            if token.text not in COLUMNS:
                raise UsageError(
                    f"{self._at(token)}: {token.text!r} is not a column"
                    f"{did_you_mean(token.text, COLUMNS)}; columns: {', '.join(sorted(COLUMNS))}; "
                    "text to compare with needs quotes"
                )
            column = COLUMNS[token.text]
            found = _Operand(column, column.type.python_type is str, token.text, token)
        elif token.kind == "number":
            found = _Operand(_number(token.text), False, None, token)
        elif token.kind == "text":
            found = _Operand(literal(token.text[1:-1], Text), True, None, token)
        else:
            raise self._error(token, "a column, a number or a quoted word")
        self._advance()
        return found

    def _require_comparable(self, left: _Operand, right: _Operand) -> None:
        """Raise UsageError for text compared with a number, and for an unknown state."""
        column, other = (left, right) if left.column else (right, left)
        if column.column is None:
            raise self._error(left.token, "a column on one side of the comparison")
        if column.is_text != other.is_text:
            needed = "a quoted word" if column.is_text else "a number"
            raise self._error(other.token, f"{needed} to compare with {column.column}")
        word = other.token.text[1:-1]
        states = [state.value for state in State]
        if column.column == "state" and other.column is None and word not in states:
            raise UsageError(
                f"{self._at(other.token)}: {word!r} is not a state{did_you_mean(word, states)}; "
                f"states: {', '.join(states)}"
            )

    def _accept(self, text: str) -> bool:
        if self._token.kind == "text" or self._token.text != text:
            return False
        self._advance()
        return True

    def _expect(self, text: str) -> None:
        if not self._accept(text):
            raise self._error(self._token, repr(text))

    def _advance(self) -> None:
        self._token = self._read(self._token.position + len(self._token.text))

    def _read(self, start: int) -> _Token:
        match = _TOKEN.match(self._source, start)
        if match is None:
            position = len(self._source) - len(self._source[start:].lstrip(" \t\r\n\f\v"))
            raise self._error(
                _Token("stray", self._source[position : position + 10], position),
                "a column, a number, a quoted word or a comparison",
            )
        kind = str(match.lastgroup)
        keyword = kind == "word" and match[kind].lower() in _KEYWORDS
        token = _Token(kind, match[kind].lower() if keyword else match[kind], match.start(kind))
        if kind == "text" and not token.text.isprintable():
            raise self._error(token, "printable text")
        return token

    def _at(self, token: _Token) -> str:
        return f"filter {self._source!r}, position {token.position + 1}"

    def _error(self, token: _Token, needed: str) -> UsageError:
        found = repr(token.text) if token.text else "the end"
        return UsageError(f"{self._at(token)}: found {found}; needed: {needed}")


def _number(text: str) -> ColumnElement[Any]:
    if re.fullmatch(r"[-+]?\d{1,18}", text):
        return literal(int(text), BigInteger)
    return literal(float(text), Double)
