"""Mutants of a Python module: where its faults could be, by its syntax tree; and of the SQL in its
strings, by their words.

Own, and small, because neither of the two well-kept tools fits: mutmut rewrites functions only, so
constants, defaults and a module that another process runs are never touched; cosmic-ray knows
neither strings nor dropped conditions and starts Python anew for every mutant. Imports the standard
library only.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

from tests.mutants.judging import Court, judge
from tests.mutants.kinds import Mutant, mutant

__all__ = ["Court", "judge", "mutants", "tests_of"]
ROOT = Path(__file__).resolve().parents[2]
COMPARISONS = {
    ast.Lt: ("<", "<="),
    ast.LtE: ("<=", "<"),
    ast.Gt: (">", ">="),
    ast.GtE: (">=", ">"),
    ast.Eq: ("==", "!="),
    ast.NotEq: ("!=", "=="),
    ast.Is: ("is", "is not"),
    ast.IsNot: (r"is\s+not", "is"),
    ast.In: ("in", "not in"),
    ast.NotIn: (r"not\s+in", "in"),
}
OPERATORS = {
    ast.Add: ("+", "-"),
    ast.Sub: ("-", "+"),
    ast.Mult: ("*", "+"),
    ast.Div: ("/", "*"),
    ast.FloorDiv: ("//", "*"),
    ast.Mod: ("%", "+"),
    ast.Pow: ("**", "*"),
    ast.BitOr: ("|", "&"),
    ast.BitAnd: ("&", "|"),
}
FUNCTIONS = {
    "min": "max",
    "max": "min",
    "any": "all",
    "all": "any",
    "sorted": "list",
    "reversed": "list",
    "ceil": "floor",
    "floor": "ceil",
}
SAYING = {"event", "print"}  # what is only said: its words are nobody's rule


def mutants(path: Path) -> list[Mutant]:
    """Every mutant of one module, in the order of its lines."""
    path = path.resolve()
    text = path.read_text(encoding="utf-8")
    name = path.relative_to(ROOT).as_posix()
    found = {
        mutant(name, text, span, after, kind)
        for span, after, kind in (*_Tree(text).found, *_strings(text))
        if text[slice(*span)] != after
    }
    return sorted(found)


def tests_of(file: str) -> list[str]:
    """The test files that speak of a module's package and need no whole night: who is to judge its
    mutants.
    """
    package = file.partition("/")[0]
    found = []
    for path in sorted((ROOT / "tests" / "python").glob("test_*.py")):
        text = path.read_text(encoding="utf-8")
        if re.search(rf"^\s*(from|import) {package}\b", text, re.MULTILINE) and not re.search(
            r"\btwo_nights\b|\bdistrict: District|\bDistrict\(", text
        ):
            found.append(path.relative_to(ROOT).as_posix())
    return found


class _Tree(ast.NodeVisitor):
    """Faults of conditions, comparisons, numbers, operators, statements and tables."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.found: list[tuple[tuple[int, int], str, str]] = []
        self._lines = [0]
        for line in text.splitlines(keepends=True):
            self._lines.append(self._lines[-1] + len(line))
        self.visit(ast.parse(text))

    def _at(self, line: int, column: int) -> int:
        """Columns of a syntax tree count bytes."""
        start = self._lines[line - 1]
        return start + len(self.text[start : self._lines[line]].encode()[:column].decode())

    def _start(self, node: ast.AST) -> int:
        return self._at(node.lineno, node.col_offset)  # type: ignore[attr-defined]

    def _end(self, node: ast.AST) -> int:
        return self._at(node.end_lineno, node.end_col_offset)  # type: ignore[attr-defined]

    def _add(self, start: int, end: int, after: str, kind: str) -> None:
        self.found.append(((start, end), after, kind))

    def _between(self, left: ast.AST, right: ast.AST, pattern: str, after: str, kind: str) -> None:
        start = self._end(left)
        gap = re.sub(
            r"#.*", lambda match: " " * len(match[0]), self.text[start : self._start(right)]
        )
        match = re.search(pattern, gap)
        if match:
            self._add(start + match.start(), start + match.end(), after, kind)

    # ------------------------------------------------------------ what is not looked into

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self.visit(node.value)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        for one in (
            *node.args.defaults,
            *(default for default in node.args.kw_defaults if default is not None),
            *node.body,
        ):
            self.visit(one)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        for one in node.body:
            self.visit(one)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        """What stands in the braces of a string has no place of its own before Python 3.12."""

    # ------------------------------------------------------------ faults

    def _condition(self, test: ast.expr) -> None:
        plain = isinstance(test, ast.Compare) and isinstance(
            test.ops[0], (ast.Eq, ast.NotEq, ast.Is, ast.IsNot, ast.In, ast.NotIn)
        )
        if not plain and not (isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not)):
            start, end = self._start(test), self._end(test)
            self._add(start, end, f"not ({self.text[start:end]})", "condition negated")

    def visit_If(self, node: ast.If) -> None:
        self._condition(node.test)
        self.generic_visit(node)

    def visit_While(self, node: ast.While) -> None:
        self.generic_visit(node)

    def visit_IfExp(self, node: ast.IfExp) -> None:
        self._condition(node.test)
        self.generic_visit(node)

    def visit_comprehension(self, node: ast.comprehension) -> None:
        for test in node.ifs:
            self._add(self._start(test), self._end(test), "True", "condition dropped")
        self.generic_visit(node)

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        word, other, nothing = (
            ("and", "or", "True") if isinstance(node.op, ast.And) else ("or", "and", "False")
        )
        for left, right in zip(node.values, node.values[1:], strict=False):
            self._between(left, right, rf"\b{word}\b", other, f"{word} -> {other}")
        for value in node.values:
            self._add(self._start(value), self._end(value), nothing, "condition dropped")
        self.generic_visit(node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> None:
        start = self._start(node)
        if isinstance(node.op, ast.Not):
            self._add(start, start + 3, "", "not dropped")
        elif isinstance(node.op, ast.USub):
            self._add(start, start + 1, "", "sign dropped")
        self.generic_visit(node)

    def visit_Compare(self, node: ast.Compare) -> None:
        for left, operator, right in zip(
            [node.left, *node.comparators], node.ops, node.comparators, strict=False
        ):
            pattern, after = COMPARISONS[type(operator)]
            self._between(
                left,
                right,
                pattern if pattern[0] in "in" else re.escape(pattern),
                after,
                "comparison",
            )
        self.generic_visit(node)

    def visit_BinOp(self, node: ast.BinOp) -> None:
        if type(node.op) in OPERATORS:
            before, after = OPERATORS[type(node.op)]
            self._between(node.left, node.right, re.escape(before), after, "operator")
        self.generic_visit(node)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        if type(node.op) in OPERATORS:
            before, after = OPERATORS[type(node.op)]
            self._between(node.target, node.value, re.escape(before), after, "operator")
        self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        start, end, value = self._start(node), self._end(node), node.value
        if isinstance(value, bool):
            self._add(start, end, str(not value), "true or false")
        elif isinstance(value, (int, float)):
            for step in (1, -1):
                self._add(start, end, str(value + step), "number")

    def visit_Call(self, node: ast.Call) -> None:
        if isinstance(node.func, (ast.Name, ast.Attribute)):
            name = node.func.id if isinstance(node.func, ast.Name) else node.func.attr
            if name in FUNCTIONS:
                end = self._end(node.func)
                self._add(end - len(name), end, FUNCTIONS[name], "function")
        self.generic_visit(node)

    def visit_Expr(self, node: ast.Expr) -> None:
        call = node.value
        if isinstance(call, ast.Call) and not (
            isinstance(call.func, ast.Name) and call.func.id in SAYING
        ):
            self._add(self._start(node), self._end(node), "pass", "statement dropped")
        self.generic_visit(node)

    def visit_Continue(self, node: ast.Continue) -> None:
        self._add(self._start(node), self._end(node), "break", "continue -> break")

    def visit_Break(self, node: ast.Break) -> None:
        self._add(self._start(node), self._end(node), "continue", "break -> continue")

    def _table(self, node: ast.Tuple | ast.List | ast.Set) -> None:
        words = (ast.Constant, ast.Name, ast.Starred, ast.Tuple)
        if (
            len(node.elts) > 1
            and isinstance(getattr(node, "ctx", ast.Load()), ast.Load)
            and all(isinstance(one, words) for one in node.elts)
        ):
            if not any(
                isinstance(one, ast.Constant) or (isinstance(one, ast.Name) and one.id.isupper())
                for one in node.elts
            ):
                return self.generic_visit(node)
            for one, following in zip(node.elts, [*node.elts[1:], None], strict=True):
                end = self._start(following) if following else self._end(one)
                if not isinstance(one, ast.Tuple) and not (
                    following and isinstance(following, ast.Tuple)
                ):
                    self._add(self._start(one), end, "", "element dropped")
        return self.generic_visit(node)

    visit_Tuple = visit_List = visit_Set = _table


# ---------------------------------------------------------------- strings, and the SQL in them

SQL = re.compile(
    r"\b(select|where|from|insert into|update|delete from|join|case when|order by|group by|is"
    r" null|is not null|coalesce|with)\b|= [?$]"
)
NOT_SQL = re.compile(r'make \w+|"make|; |^\w+:')
WORDS = tuple(
    (re.compile(pattern), after, kind)
    for pattern, after, kind in (
        (r"\band\b", "or", "and -> or"),
        (r"\bor\b(?! replace)", "and", "or -> and"),
        (r"(?<=\S) <> ", " = ", "comparison"),
        (r"(?<=\S) = ", " <> ", "comparison"),
        (r"(?<=\S) <= ", " < ", "comparison"),
        (r"(?<=\S) < ", " <= ", "comparison"),
        (r"(?<=\S) >= ", " > ", "comparison"),
        (r"(?<=\S) > ", " >= ", "comparison"),
        (r"\bis null\b", "is not null", "comparison"),
        (r"\bis not null\b", "is null", "comparison"),
        (r"\bis distinct from\b", "is not distinct from", "comparison"),
        (r"\bis not distinct from\b", "is distinct from", "comparison"),
        (r"\bnot in\b", "in", "comparison"),
        (r"(?<!not )\bexists\b(?! ledger)", "not exists", "comparison"),
        (r"\bnot (?!null|in\b|distinct|exists ledger)", "", "not dropped"),
        (r"\bleft join\b", "join", "join"),
        (r"(?<!left )\bjoin\b", "left join", "join"),
        (r"\bdistinct (?!from|on)", "", "distinct dropped"),
        (r"\bmin\(", "max(", "function"),
        (r"\bmax\(", "min(", "function"),
        (r"\bbool_and\(", "bool_or(", "function"),
        (r"\bbool_or\(", "bool_and(", "function"),
        (r" desc\b", "", "order"),
        (r"\btrue\b", "false", "true or false"),
        (r"\bfalse\b", "true", "true or false"),
        (r"\bunion(?! all)\b", "union all", "union"),
        (r"(?<=[ (,])\d+(?=[ ),]|$)", "+1", "number"),
    )
)
OPENING = re.compile(r"\b(where|on|and|or(?! replace)|having|when|filter \(where)\s+")
CLOSING = re.compile(
    r"\b(and|or|then|group by|order by|left join|join|where|union|limit|qualify|having|except)\b"
)


def _strings(text: str) -> Iterator[tuple[tuple[int, int], str, str]]:
    """Words changed, and the SQL that stands in strings mutated as SQL."""
    lines = [0]
    for line in text.splitlines(keepends=True):
        lines.append(lines[-1] + len(line))
    silent = _silent(text)
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type != tokenize.STRING:
            continue
        start = lines[token.start[0] - 1] + token.start[1]
        opened = re.match(r"""([A-Za-z]*)('''|\"\"\"|'|")""", token.string)
        if opened is None or any(first <= start < last for first, last in silent):
            continue
        inner = token.string[opened.end() : len(token.string) - len(opened[2])]
        if SQL.search(inner) and not NOT_SQL.search(inner):
            for (first, last), after, kind in _sql(inner, "f" in opened[1].lower()):
                begin = start + opened.end()
                yield (begin + first, begin + last), after, f"sql: {kind}"
        elif not re.search(r"\s", inner) and "f" not in opened[1].lower():
            yield (start + opened.end(), start + opened.end() + len(inner)), f"{inner}x", "string"


def _silent(text: str) -> list[tuple[int, int]]:
    """Docstrings, annotations and what is only said."""
    tree = _Tree.__new__(_Tree)
    tree.text, tree._lines = text, [0]
    for line in text.splitlines(keepends=True):
        tree._lines.append(tree._lines[-1] + len(line))
    nodes: list[ast.AST] = []
    for node in ast.walk(ast.parse(text)):
        told = (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id in SAYING
        )
        if told or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)):
            nodes.append(node)
        elif isinstance(node, ast.AnnAssign):
            nodes.append(node.annotation)
    return [(tree._start(node), tree._end(node)) for node in nodes]


def _sql(inner: str, braces: bool) -> Iterator[tuple[tuple[int, int], str, str]]:
    if braces:  # what Python fills in is no SQL yet
        inner = re.sub(r"\{[^{}]*\}", lambda match: "¤" * len(match[0]), inner)
    hidden = re.sub(r"'[^']*'", lambda match: "'" + "¤" * (len(match[0]) - 2) + "'", inner)
    hidden = re.sub(r"--.*", lambda match: "¤" * len(match[0]), hidden)
    for pattern, after, kind in WORDS:
        for match in pattern.finditer(hidden):
            yield match.span(), str(int(match[0]) + 1) if after == "+1" else after, kind
    for match in re.finditer(r"'([^']+)'", inner):
        if "¤" not in match[1]:
            yield match.span(1), f"{match[1]}x", "string"
    for match in OPENING.finditer(hidden):
        end = _condition_end(hidden, match.end())
        if end > match.end():
            yield (match.end(), end), "false" if match[1] == "or" else "true", "condition dropped"


def _condition_end(hidden: str, start: int) -> int:
    depth, position = 0, start
    case = between = False
    while position < len(hidden):
        character = hidden[position]
        if character == "(":
            depth += 1
        elif character == ")":
            if depth == 0:
                break
            depth -= 1
        elif depth == 0:
            if re.match(r"\bcase\b", hidden[position:]) and not hidden[position - 1].isalnum():
                case = True
            if re.match(r"\bbetween\b", hidden[position:]):
                between = True
            closing = (
                CLOSING.match(hidden, position)
                if not hidden[position - 1].isalnum() and hidden[position - 1] != "_"
                else None
            )
            if closing and closing[1] == "and" and between:
                between = False
            elif closing and not case:
                break
            if re.match(r"end\b", hidden[position:]) and not hidden[position - 1].isalnum():
                case = False
            if character == ",":
                break
        position += 1
    return len(hidden[:position].rstrip())
