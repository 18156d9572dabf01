"""Mutants of models, macros and dbt tests: made on the text as people wrote it, judged by the
models' own unit tests.

In: the text of a `.sql` file, Jinja and all. Out: a `Mutant` for each condition, comparison, join,
default, branch, order, column, number and word that decides. Comments are left alone, and what
Jinja calls is one opaque thing, but for orders and keys that stand in it as text. `Bench` judges:
one dbt session compiles each unit test with the fault in the model or macro, and DuckDB answers;
about 15 ms a test.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import chdir, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

from operations import seeds
from tests.mutants.kinds import Mutant, Result, mutant

TOKEN = re.compile(
    r"""(?P<skip>\s+|--[^\n]*|\{\#.*?\#\}|\{%-?\s*(?:macro|endmacro|docs|enddocs|materialization|endmaterialization)\b.*?%\})
      |(?P<jinja>\{\{.*?\}\})|(?P<block>\{%.*?%\})|(?P<text>'(?:[^']|'')*')|(?P<quoted>"[^"]*")|(?P<number>\d+(?:\.\d+)?)
      |(?P<word>[A-Za-z_][A-Za-z_0-9]*)|(?P<sign><>|!=|<=|>=|\|\||::|->>|->|.)""",
    re.S | re.X,
)
# words between which a condition, a column or an order stands
ENDS = frozenset(
    """select distinct from where on having when then else end qualify group order by union all join left right inner cross
    full outer as case with limit over partition filter using exists""".split()  # noqa: E501, SIM905
)
OTHER = {
    "min": "max",
    "max": "min",
    "bool_and": "bool_or",
    "bool_or": "bool_and",
    "greatest": "least",
    "least": "greatest",
    "lead": "lag",
    "lag": "lead",
}
EDGE = {"<": "<=", "<=": "<", ">": ">=", ">=": ">", "=": "<>", "<>": "=", "!=": "="}


@dataclass(frozen=True)
class Token:
    kind: str
    text: str
    start: int
    end: int

    def says(self, *words: str) -> bool:
        return self.kind in ("word", "sign") and self.text.lower() in words


@dataclass(frozen=True)
class Group:
    """What stands between two brackets, brackets included in its span."""

    start: int
    end: int
    items: tuple[Any, ...]

    def says(self, *_: str) -> bool:
        return False

    kind = "group"
    text = "()"


def _tree(text: str) -> tuple[Any, ...]:
    """Tokens, with what stands in brackets as one `Group`."""
    stack: list[tuple[int, list[Any]]] = [(0, [])]
    for found in TOKEN.finditer(text):
        kind = str(found.lastgroup)
        if kind == "skip":
            continue
        token = Token(kind, found.group(), found.start(), found.end())
        if token.text == "(":
            stack.append((token.start, []))
        elif token.text == ")" and len(stack) > 1:
            start, items = stack.pop()
            stack[-1][1].append(Group(start, token.end, tuple(items)))
        else:
            stack[-1][1].append(token)
    while len(stack) > 1:  # a bracket that Jinja closes
        start, items = stack.pop()
        stack[-1][1].extend(items)
    return tuple(stack[0][1])


def mutants(file: str, text: str) -> list[Mutant]:
    """Every mutant of one `.sql` file, in the order of its lines."""
    made = {
        (start, end, after): kind
        for (start, end), after, kind in _all(text)
        if text[start:end] != after
    }
    return sorted(
        mutant(file, text, (start, end), after, kind) for (start, end, after), kind in made.items()
    )


Change = tuple[tuple[int, int], str, str]


def _all(text: str) -> Iterator[Change]:
    def walk(items: tuple[Any, ...], before: Any = None) -> Iterator[Change]:
        yield from _words(text, items)
        yield from _conditions(text, items, in_brackets=before is not None)
        yield from _branches(text, items)
        yield from _cases(text, items)
        yield from _columns(text, items)
        yield from _orders(text, items)
        for last, item in zip((None, *items), items, strict=False):
            if item.kind == "group":
                if last is not None and last.says("coalesce"):
                    yield from _default(text, item)
                yield from walk(item.items, last or item)

    yield from walk(_tree(text))
    yield from _jinja(text)


def _span(items: Iterable[Any]) -> tuple[int, int]:
    there = list(items)
    return there[0].start, there[-1].end


def _words(text: str, items: tuple[Any, ...]) -> Iterator[Change]:
    """One word, sign, number or text that becomes another."""
    for place, item in enumerate(items):
        word, span = item.text.lower(), (item.start, item.end)
        after = items[place + 1] if place + 1 < len(items) else None
        before = items[place - 1] if place else None
        if item.kind == "sign" and word in EDGE:
            yield span, EDGE[word], "comparison"
        elif (
            item.kind == "sign"
            and word in "+-"
            and after is not None
            and before is not None
            and before.kind != "sign"
        ):
            yield span, "-" if word == "+" else "+", "sign"
        elif item.kind == "number":
            whole = re.fullmatch(r"\d+", word)
            yield span, str(int(word) + 1) if whole else str(float(word) * 2), "number"
            if whole and int(word):
                yield span, str(int(word) - 1), "number"
        elif item.kind == "text":
            yield span, f"'{_other(item.text[1:-1])}'", "text"
        elif item.kind != "word":
            continue
        elif word in ("true", "false"):
            yield span, "false" if word == "true" else "true", "yes and no"
        elif word in OTHER and after is not None and after.kind == "group":
            yield span, OTHER[word], "function"
        elif word == "left" and after is not None and after.says("join"):
            yield span, "inner", "join"
        elif word == "inner" and after is not None and after.says("join"):
            yield span, "left", "join"
        elif word == "full" and after is not None and after.says("outer", "join"):
            yield (item.start, after.end if after.says("outer") else item.end), "left", "join"
        elif word == "not" and after is not None:
            yield (item.start, after.start), "", "negation"
        elif word == "is" and after is not None and not after.says("not"):
            yield span, "is not", "negation"
        elif word in ("in", "like", "ilike", "between", "exists") and not (
            before is not None and before.says("not")
        ):
            yield span, f"not {word}", "negation"
        elif word == "distinct" and not (before is not None and before.says("is", "not")):
            yield (item.start, after.start if after is not None else item.end), "", "distinct"
        elif word == "union":
            both = after is not None and after.says("all")
            yield (
                (item.start, after.end if both else item.end),
                ("union" if both else "union all"),
                "union",
            )


def _other(text: str) -> str:
    """Another text: of a day or a number another one, which an engine reads as well."""
    return (
        text[:-1] + str((int(text[-1]) + 1) % 10)
        if text and text[-1] in "0123456789"
        else f"{text}~"
    )


def _parts(items: tuple[Any, ...], at: Callable[[Any], bool]) -> list[tuple[Any, list[Any]]]:
    """What stands between the items that `at` knows, each with the one before it."""
    parts: list[tuple[Any, list[Any]]] = [(None, [])]
    for item in items:
        if at(item):
            parts.append((item, []))
        else:
            parts[-1][1].append(item)
    return parts


def _conditions(text: str, items: tuple[Any, ...], *, in_brackets: bool) -> Iterator[Change]:
    """Terms of and/or that are dropped, the word itself turned, and a condition that stands alone
    lifted.
    """
    for opened, part in _parts(
        items,
        lambda item: (
            item.text == ","
            or item.kind == "block"
            or (item.kind == "word" and item.text.lower() in ENDS)
        ),
    ):
        if not part:
            continue
        terms: list[list[Any]] = [[]]
        joints: list[Any] = []
        between = False
        for item in part:
            if item.says("between"):
                between = True
            if item.says("and", "or") and not (between and item.says("and")):
                joints.append(item)
                terms.append([])
            else:
                if item.says("and"):
                    between = False
                terms[-1].append(item)
        if any(not term for term in terms):
            continue
        alone = opened is not None and opened.says("where", "on", "having", "when", "qualify")
        if not joints:
            if alone and not (
                opened.says("when") and len(part) == 1 and part[0].kind in ("text", "number")
            ):
                yield _span(part), "true", "condition dropped"
            continue
        for place, term in enumerate(terms):
            joint = joints[max(place - 1, 0)].text.lower()
            yield _span(term), "true" if joint == "and" else "false", "condition dropped"
        for joint in joints:
            yield (joint.start, joint.end), "or" if joint.says("and") else "and", "and and or"


def _branches(text: str, items: tuple[Any, ...]) -> Iterator[Change]:
    """One side of a union that is not there."""
    parts = _parts(items, lambda item: item.says("union"))
    if len(parts) < 2:
        return
    for opened, part in parts:
        if opened is None:
            selects = [item for item in part if item.says("select")]
            if selects:
                yield (
                    (
                        selects[-1].start,
                        parts[1][0].end + (4 if text[parts[1][0].end :].startswith(" all") else 0),
                    ),
                    "",
                    "branch dropped",
                )
        else:
            rest = [item for item in part if item.kind != "block"]
            if rest:
                yield (opened.start, rest[-1].end), "", "branch dropped"


def _cases(text: str, items: tuple[Any, ...]) -> Iterator[Change]:
    """A branch of a case that is not there; what happens otherwise, gone."""
    open_cases: list[int] = []
    marks: list[tuple[int, Any]] = []
    for item in items:
        if item.says("case"):
            open_cases.append(len(marks))
            marks.append((len(open_cases), item))
        elif item.says("when", "else", "end") and open_cases:
            marks.append((len(open_cases), item))
            if item.says("end"):
                level, first = len(open_cases), open_cases.pop()
                own = [mark for depth, mark in marks[first:] if depth == level]
                whens = [mark for mark in own if mark.says("when")]
                for mark, following in pairwise(own):
                    if mark.says("when") and len(whens) > 1:
                        yield (mark.start, following.start), "", "case dropped"
                    elif mark.says("else"):
                        yield (mark.start, following.start), "", "otherwise dropped"


def _columns(text: str, items: tuple[Any, ...]) -> Iterator[Change]:
    """A column that shows what its neighbour should."""
    starts = [place for place, item in enumerate(items) if item.says("select")]
    for start in starts:
        listed = items[start + 1 :]
        ends = [place for place, item in enumerate(listed) if item.says("from", "union")]
        listed = listed[: ends[0]] if ends else listed
        if listed and listed[0].says("distinct"):
            listed = listed[1:]
        columns: list[tuple[tuple[int, int], str]] = []
        for _, part in _parts(listed, lambda item: item.text == ","):
            if not part or any(item.kind == "block" for item in part) or part[-1].text == "*":
                continue
            if len(part) > 2 and part[-2].says("as"):
                columns.append((_span(part[:-2]), part[-1].text))
            elif part[-1].kind == "word" and part[-1].text.lower() != "end":
                columns.append((_span(part), ""))
        for (span, name), (other, _) in zip(columns, columns[1:] + columns[:1], strict=True):
            own, instead = text[span[0] : span[1]], text[other[0] : other[1]]
            if own != instead and "--" not in instead:
                named = "" if name else " as " + own.rsplit(".", 1)[-1]
                yield span, instead + named, "column"


def _orders(text: str, items: tuple[Any, ...]) -> Iterator[Change]:
    """A term of an order turned round, or dropped where another stays."""
    for place, item in enumerate(items):
        if not (item.says("by") and place and items[place - 1].says("order")):
            continue
        rest: list[Any] = []
        for following in items[place + 1 :]:
            if following.says("limit", "union", "rows", "range", "from", "qualify"):
                break
            rest.append(following)
        terms = [part for _, part in _parts(tuple(rest), lambda one: one.text == ",") if part]
        for number, term in enumerate(terms):
            yield from _turned(_span(term), text[term[0].start : term[-1].end])
            if len(terms) > 1:
                start, end = _span(term)
                if number:
                    yield (terms[number - 1][-1].end, end), "", "order dropped"
                else:
                    yield (start, terms[1][0].start), "", "order dropped"


def _turned(span: tuple[int, int], term: str) -> Iterator[Change]:
    found = re.fullmatch(r"(?s)(.*?)( desc| asc)?( nulls (?:first|last))?", term)
    if found and "{" not in term:
        yield span, found[1] + ("" if found[2] == " desc" else " desc") + (found[3] or ""), "order"
        if found[3]:
            yield (
                span,
                found[1]
                + (found[2] or "")
                + (" nulls first" if "last" in found[3] else " nulls last"),
                "order",
            )


def _default(text: str, group: Group) -> Iterator[Change]:
    parts = [part for _, part in _parts(group.items, lambda item: item.text == ",") if part]
    if len(parts) > 1:
        yield (parts[-2][-1].end, parts[-1][-1].end), "", "default dropped"


def _jinja(text: str) -> Iterator[Change]:
    """Orders, keys, lists, numbers and conditions that stand in Jinja."""
    for found in re.finditer(
        r"deduplicate\((?:ref\('\w+'\)|this|'\w+'),\s*'([^']*)',\s*'([^']*)'\)", text
    ):
        for group, order in ((1, False), (2, True)):
            at, terms = found.start(group), found.group(group).split(", ")
            for number, term in enumerate(terms):
                start = at + len(", ".join(terms[:number])) + (2 if number else 0)
                if order:
                    yield from _turned((start, start + len(term)), term)
                if len(terms) > 1:
                    left = ", ".join(terms[:number] + terms[number + 1 :])
                    yield (at, found.end(group)), left, "order dropped" if order else "key dropped"
    for found in re.finditer(
        r"\{\{ without_doubted\((?:(ref\('\w+'\))|'(\w+)'), '\w+', '\w+'\) \}\}", text
    ):
        rows = f"{{{{ {found[1]} }}}}" if found[1] else found[2]
        yield found.span(), f"select * from {rows}", "condition dropped"
    for found in re.finditer(r"\{%-?\s*(?:if|elif)\s+(.*?)\s*-?%\}", text, re.S):
        if "loop." not in found[1]:
            yield found.span(1), f"not ({found[1]})", "condition turned"
    for found in re.finditer(r"\{%-?\s*for\s+\w+\s+in\s+\[([^\]]*)\]", text):
        parts = found[1].split(", ")
        for number in range(len(parts)):
            yield found.span(1), ", ".join(parts[:number] + parts[number + 1 :]), "element dropped"
    for found in re.finditer(r"\{%-?\s*set\s+\w+\s*=\s*(\d+)\s*-?%\}", text):
        for number in (int(found[1]) + 1, int(found[1]) - 1):
            yield found.span(1), str(number), "number"
    for found in re.finditer(r"\{\{(?:(?!\}\}).)*?\}\}", text, re.S):
        if re.search(r"\b(ref|source|doc|return|config|deduplicate)\(", found[0]) or found[
            0
        ].startswith("{{ dbt."):
            continue
        for part in re.finditer(r"'([^'\n]*)'", found[0]):
            if (
                not re.fullmatch(r"[\w.]*", part[1])
                and "~" not in part[1]
                and not re.search(r"\w\(", part[1])
            ):
                yield (
                    (found.start() + part.start(1), found.start() + part.end(1)),
                    _other(part[1]),
                    "text",
                )


@dataclass
class Unit:
    """One unit test, ready to be asked again with another text of its model."""

    name: str
    model: str
    context: Any
    node: Any
    inputs: str
    columns: str
    right: Counter[tuple[Any, ...]]


class Bench:
    """One dbt session over a warehouse whose tables are there (their columns are asked, not their
    rows).
    """

    def __init__(self, top: Path, task: Any) -> None:
        from dbt.adapters.factory import get_adapter

        self.top, self.task, self.manifest = top, task, task.manifest
        self.adapter = get_adapter(task.config)
        self.broken: list[str] = []  # unit tests that fail without any fault
        self.units: dict[str, list[Unit]] = {}
        self.macros_of: dict[str, set[str]] = {}
        self.definitions: dict[str, list[Any]] = {}
        for definition in self.manifest.unit_tests.values():
            self.definitions.setdefault(definition.depends_on.nodes[0], []).append(definition)

    def judge(self, made: Iterable[Mutant]) -> Iterator[Result]:
        """What became of each mutant; those of files that no unit test stands on survive."""
        for one in made:
            with self.adapter.connection_named("mutants"):
                yield self._judge(one)

    def _judge(self, one: Mutant) -> Result:
        text = one.applied_to((self.top / one.file).read_text(encoding="utf-8"))
        if one.file.startswith("macros/"):
            return self._judge_macro(one)
        models = [
            key
            for key, node in self.manifest.nodes.items()
            if node.original_file_path == one.file and node.resource_type == "model"
        ]
        if not models:
            return Result(one, "survived")
        return self._verdict(one, self._ready(models[0]), lambda _: text)

    def _judge_macro(self, one: Mutant) -> Result:
        source = (self.top / one.file).read_text(encoding="utf-8")
        for key, macro in self.manifest.macros.items():
            at = source.find(macro.macro_sql) if macro.original_file_path == one.file else -1
            if at <= one.start and one.end <= at + len(macro.macro_sql) and at >= 0:
                units = [
                    unit for model in sorted(self._using(key)) for unit in self._ready(model)
                ]  # before the fault is in
                before = macro.macro_sql
                macro.macro_sql = before[: one.start - at] + one.after + before[one.end - at :]
                try:
                    return self._verdict(one, units, lambda unit: unit.node.raw_code)
                finally:
                    macro.macro_sql = before
        return Result(one, "survived")

    def _verdict(self, one: Mutant, units: list[Unit], text: Callable[[Unit], str]) -> Result:
        spoiled = 0
        for unit in units:
            try:
                got = self._answer(unit, text(unit))
            except Exception:  # whatever refuses the text, nobody could ship it
                spoiled += 1
                continue
            if got != unit.right:
                return Result(one, "killed", unit.name)
        return Result(one, "broken" if spoiled else "survived")

    def _using(self, key: str) -> set[str]:
        """The models whose SQL calls this macro, by way of others too, and which have
        unit tests.
        """

        def reach(start: list[str]) -> set[str]:
            seen: set[str] = set()
            while start:
                name = start.pop()
                if name not in seen and name in self.manifest.macros:
                    seen.add(name)
                    start += self.manifest.macros[name].depends_on.macros
                    # a dispatched macro is one of its kind, which dbt finds when it runs
                    start += [
                        other
                        for other in self.manifest.macros
                        if other.endswith(f"__{name.rsplit('.', 1)[-1]}")
                        and other.startswith("macro.homeroom.")
                    ]
            return seen

        for model in self.definitions:
            if model not in self.macros_of:
                self.macros_of[model] = reach(list(self.manifest.nodes[model].depends_on.macros))
        return {model for model, macros in self.macros_of.items() if key in macros}

    def _ready(self, model: str) -> list[Unit]:
        if model not in self.units:
            self.units[model] = [
                unit
                for one in self.definitions.get(model, [])
                if (unit := self._prepared(one, model)) is not None
            ]
        return self.units[model]

    def _prepared(self, definition: Any, model: str) -> Unit | None:
        from dbt.task.test import TestRunner

        runner = TestRunner(self.task.config, self.adapter, definition, 1, 1)
        runner.compiler = self.task.compiler
        try:
            node, outcome = runner.execute_unit_test(definition, self.manifest)
        except Exception as trouble:  # said below, by name
            self.broken.append(f"{definition.name}: {' '.join(str(trouble).split())[:300]}")
            return None
        if outcome.should_error:
            self.broken.append(f"{definition.name}: it fails as it is")
            return None
        rows = definition.expect.rows
        columns = (
            ", ".join(f'"{name}"' for name in rows[0]) if isinstance(rows, list) and rows else "*"
        )
        manifest = runner.build_unit_test_manifest_from_test(definition, self.manifest)
        fresh = manifest.nodes[definition.unique_id]
        unit = Unit(
            definition.name,
            model,
            self.task.compiler._create_node_context(fresh, manifest, {}),
            fresh,
            ",\n".join(cte.sql for cte in node.extra_ctes),
            columns,
            Counter(),
        )
        unit.right = self._answer(unit, fresh.raw_code)
        return unit

    def _answer(self, unit: Unit, text: str) -> Counter[tuple[Any, ...]]:
        from dbt.clients.jinja import get_rendered

        compiled = get_rendered(text, unit.context, unit.node)
        inputs = f"with {unit.inputs}\n" if unit.inputs else ""
        _, cursor = self.adapter.connections.add_query(
            f"{inputs}select {unit.columns} from (\n{compiled}\n) as answered", auto_begin=False
        )
        return Counter(tuple(repr(value) for value in row) for row in cursor.fetchall())


def empty_warehouse(top: Path) -> Path:
    """A state folder of the checkout's own under .pytest_cache, whose warehouse has every table and
    no rows; made anew for other columns.
    """
    var = top / ".pytest_cache" / "mutants"
    shape = hashlib.sha256()
    for path in sorted(
        [*top.glob("models/**/*.yml"), *top.glob("models/**/*.sql"), *top.glob("seeds/*.csv")]
    ):
        text = path.read_text(encoding="utf-8")
        columns = (
            "".join(re.findall(r"(?m)^ *- name: \w+$", text))
            if path.suffix == ".yml"
            else text.partition("\n")[0]
            if path.suffix == ".csv"
            else ""
        )
        shape.update(f"{path.relative_to(top)}{columns}".encode())
    made = var / "shape"
    if not made.is_file() or made.read_text(encoding="utf-8") != shape.hexdigest():
        shutil.rmtree(var, ignore_errors=True)
        var.mkdir(mode=0o700, parents=True)  # as any folder of a state: others may not read it
        environment = os.environ | {"HOMEROOM_VAR": str(var), "HOMEROOM_RUN": ""}
        subprocess.run(
            [sys.executable, "-m", "operations", "build"],
            cwd=top,
            env=environment,
            check=True,
            stdout=subprocess.DEVNULL,
        )
        made.write_text(shape.hexdigest(), encoding="utf-8")
    return var


@contextmanager
def session(top: Path, var: Path) -> Iterator[Callable[[Callable[[Bench], Any]], Any]]:
    """Yields a function that calls its argument with a `Bench`, within a live dbt session of the
    checkout `top` on the warehouse of `var`.
    """
    from dbt.cli.main import dbtRunner
    from dbt.task.test import TestTask

    def call(work: Callable[[Bench], Any]) -> Any:
        kept: list[Any] = []

        def run(task: Any) -> Any:
            from dbt_common.events.contextvars import task_contextvars

            with task_contextvars(project_root=task.config.project_root):
                task._runtime_initialize()
                kept.append(work(Bench(top, task)))
            return task.get_result(results=[], elapsed_time=0.0, generated_at=datetime.now(UTC))

        before, TestTask.run = TestTask.run, run
        try:
            ended = dbtRunner().invoke(
                [
                    "test",
                    "--select",
                    "test_type:unit",
                    "--project-dir",
                    str(top),
                    "--profiles-dir",
                    str(top),
                    "--log-level",
                    "none",
                    "--log-level-file",
                    "none",
                    "--no-write-json",
                ]
            )
        finally:
            TestTask.run = before
        if ended.exception is not None:
            raise ended.exception
        return kept[0]

    environment = dict(os.environ)
    os.environ.update(HOMEROOM_VAR=".", **seeds.environment(), DBT_TARGET_PATH=str(var / "target"))
    try:
        with chdir(var):
            yield call
    finally:
        os.environ.clear()
        os.environ.update(environment)
