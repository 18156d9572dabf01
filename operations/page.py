"""The page of a run: one HTML file that holds everything it shows, and an index of all runs.

In: the run's documents and summary, the summaries of the nights before, the changes from the
published copy. Out: `pages/<run_id>.html`, the same as `pages/latest.html`, and
`pages/index.html`: a folder of its own, for a web server may show it. Keys only, no names, and a
key that is an address is not shown; nothing is loaded from anywhere.

The template is `page.html` beside this file; every value goes through its escaping. What it opens
and searches beyond what it shows are the rows of `page_rows.py`, read by `page.js`.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb
from jinja2 import Environment, FileSystemLoader, Template, select_autoescape
from markupsafe import Markup

from common import database, documents, findings, paths, settings
from common.printable import lines
from common.runs import Run
from common.settings import District
from common.words import words
from operations import acknowledged, coming, history, page_rows, repeats, series

ROWS_PER_CODE = (
    40  # a kind with more findings than this shows so many and says where the rest stands
)
# A vendor's key may be a parent's address, and a message may quote one.
ADDRESS = re.compile(r"[^\s<>()\[\]\"',;:=|]+@[^\s<>()\[\]\"',;:=|]*[^\s<>()\[\]\"',;:=|.]")
SHOWN_HARMS = 3  # of whom a night left out, the worst
LEVELS = ("critical", "warning", "info")
HEADLINES = {
    0: "Done: what could be written is written.",
    2: "Held: some changes wait for a person.",
    3: "Partly failed: what could go on went on.",
    1: "Error: the night did not come through.",
    None: "Not finished.",
}


def write(run: Run, summary: dict[str, Any]) -> Path:
    """Write the page of one run and the index of all; returns the page."""
    past = history.nights(before=run.run_id)
    template, common = _template()
    page, text = page_of(run), template.render(common | facts(run, summary, past))
    documents.write_text(page, text)
    if run.part:
        documents.write_text(page.with_name(f"latest-{run.part}.html"), text)
    elif run.run_id == (Run.latest_night() or Run.latest() or run).run_id:
        documents.write_text(page.with_name("latest.html"), text)
    write_index()
    return page


def write_index() -> None:
    """Write the index of all runs: nights and what was typed by hand, and the parts as series."""
    template, common = _template()
    lists = {"runs": _index(), "series": series.every()}
    documents.write_text(paths.pages() / "index.html", template.render(common | lists))


def _template() -> tuple[Template, dict[str, Any]]:
    """The template, and what every page says."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=select_autoescape(["html"]),
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=shown,
    )
    environment.filters |= {
        "count": _count,
        "span": _span,
        "moment": _moment,
        "breakable": _breakable,
    }
    template = environment.get_template("page.html")
    common = {
        "district": settings.read(District, "district").name or "this district",
        "words": words(),
        "partition": findings.PARTITION,
    }
    if documents.exists(paths.pages()) and not paths.pages().is_dir():
        documents.set_aside(paths.pages())
    paths.pages().mkdir(exist_ok=True, mode=0o700)
    return template, common


def page_of(run: Run) -> Path:
    """Where the page of a run stands, or would."""
    return paths.pages() / f"{run.run_id}.html"


def shown(value: object) -> object:
    """A text as the page may show it: printable, and without an address, which says whose it is:
    `…` stands for it.
    """
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    return ADDRESS.sub("…", lines(value))


def facts(run: Run, summary: dict[str, Any], past: list[dict[str, Any]]) -> dict[str, Any]:
    """Everything the page of a run says, ready to be put down."""
    nights = [*past, summary] if summary["verb"] == "nightly" else past
    odd = history.unusual(summary, past)
    every = findings.read(run)
    found, seen = acknowledged.apart(every)
    fresh, stand = repeats.apart(run, found)
    rows, count, whole = page_rows.packed(run, every, shown)
    return {
        "summary": summary,
        "title": f"Run of {run.part}" if run.part else f"Night of {summary['as_of']}",
        "lines": five_lines(summary, found, odd, len(seen)),
        "partitions": by_partition(run),
        "feeds": run.read("feeds.json", []),
        "found": by_owner(fresh),
        "stand": stand,
        "coming": coming.lines(date.fromisoformat(summary["as_of"])),
        "seen": by_acknowledgement(seen),
        "quotas": quotas(summary),
        "trends": trends(nights),
        # base64, which holds no markup and no address: looking for one in a megabyte takes minutes
        "rows": Markup(rows),  # noqa: S704
        "row_count": count,
        "rows_whole": whole,
        "unusual": odd,
        "nights": len(nights),
    }


NOT_BEGUN = "Not begun: nothing was read and nothing was written."
EQUAL = "Done: every target equals its export tables."


def headline(summary: dict[str, Any]) -> str:
    """How the night ended; that all is equal only where all was read back and nothing waits."""
    if summary["exit_code"] and not summary.get("steps", True) and not summary["targets"]:
        return NOT_BEGUN
    three = history.read_back(summary)
    whole = all(row.get("equal") is not None for row in summary["targets"])
    if summary["exit_code"] == 0 and whole and three and not three["waiting"] + three["different"]:
        return EQUAL
    return HEADLINES[summary["exit_code"]]


def five_lines(
    summary: dict[str, Any], found: list[dict[str, Any]], odd: list[history.Unusual], seen: int = 0
) -> list[str]:
    """The night in five sentences, the most important first: how it ended and whom it left out,
    what was written, what was read, what is for a person, how long it took.
    """
    numbers = history.measures(summary)
    feeds = Counter(feed["status"] for feed in summary["feeds"])
    bad = feeds["refused"] + feeds["missing"]
    per_level = Counter(finding["level"] for finding in found)
    first = next((finding["message"] for finding in found if finding["level"] == "critical"), "")
    held = (
        f"{_count(numbers['held'], 'change')} held for a person"
        if numbers["held"]
        else "Nothing is held"
    )
    applied = (
        f"{_count(numbers['applied'], 'change')} applied in"
        f" {_count(numbers['write_calls'], 'write call')}"
        if numbers["applied"]
        else "Nothing was applied"
    )
    failed = (
        f"{_count(numbers['failed'], 'change')} failed or skipped"
        if numbers["failed"]
        else "nothing failed"
    )
    waiting = ", ".join(
        _count(per_level[level], word)
        for level, word in (("critical", "critical finding"), ("warning", "warning"))
        if per_level[level]
    )
    return [
        headline(summary)
        + "".join(f" {line}." for line in history.harm(summary)[:SHOWN_HARMS])
        + (f" {first.split('; ')[0].rstrip('.')}." if first else ""),
        f"{applied}; {held.lower()}, {failed}. Read back: {history.said_back(summary)}.",
        f"{_count(len(summary['feeds']), 'feed')} expected: {feeds['loaded']} loaded,"
        f" {feeds['unchanged']} unchanged, "
        + (f"{feeds['resting']} resting over the summer, " if feeds["resting"] else "")
        + (f"{bad} refused or missing." if bad else "none refused or missing."),
        (f"For a person to look at: {waiting}." if waiting else "Nothing needs a person.")
        + (f" {_count(seen, 'finding').capitalize()} acknowledged." if seen else ""),
        f"It took {_span(numbers['seconds'])}" + (f"; unusual: {odd[0].sentence}." if odd else "."),
    ]


def by_partition(run: Run) -> list[dict[str, Any]]:
    """Changes of this run by partition: partition, name, applied, held, failed, and the same by
    action.
    """
    if not paths.published().is_file():
        return []
    query = """
        select partition, name, action, status, changes from audit.changes_by_partition
        where run_id = ? order by partition = '', partition, action, status
    """
    try:
        with database.connect(paths.published(), read_only=True) as connection:
            rows = connection.execute(query, [run.run_id]).fetchall()
    # of a build that never came so far, or damaged, which the night says
    except (duckdb.CatalogException, duckdb.BinderException, duckdb.IOException):
        return []
    partitions: dict[str, dict[str, Any]] = {}
    for partition, name, action, status, changes in rows:
        one = partitions.setdefault(
            partition,
            {
                "partition": partition,
                "name": name,
                "actions": Counter(),
                "applied": 0,
                "held": 0,
                "failed": 0,
                "other": 0,
            },
        )
        one[status if status in ("applied", "held", "failed") else "other"] += changes
        one["actions"][action] += changes
    return list(partitions.values())


def by_owner(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Findings grouped by who can mend them, then by code; within each the worst first."""
    owners: dict[str, dict[str, list[dict[str, Any]]]] = defaultdict(lambda: defaultdict(list))
    for finding in found:
        owners[finding["owner"] or "operator"][finding["code"]].append(finding)
    grouped = [
        {
            "owner": owner,
            "codes": sorted(
                (
                    {
                        "code": code,
                        "level": min((one["level"] for one in some), key=LEVELS.index),
                        "rows": some[:ROWS_PER_CODE],
                        "total": len(some),
                    }
                    for code, some in codes.items()
                ),
                key=lambda one: (LEVELS.index(one["level"]), -one["total"], one["code"]),
            ),
        }
        for owner, codes in owners.items()
    ]
    return sorted(
        grouped, key=lambda owner: (LEVELS.index(owner["codes"][0]["level"]), owner["owner"])
    )


def by_acknowledgement(
    seen: Iterable[tuple[dict[str, Any], acknowledged.Acknowledgement]],
) -> list[dict[str, Any]]:
    """What somebody answers for, one entry for each time it was said."""
    grouped: dict[acknowledged.Acknowledgement, list[dict[str, Any]]] = defaultdict(list)
    for finding, by in seen:
        grouped[by].append(finding)
    return [
        {
            "code": by.which.code,
            "level": min((one["level"] for one in some), key=LEVELS.index),
            "by": by.sentence,
            "rows": some[:ROWS_PER_CODE],
            "total": len(some),
        }
        for by, some in grouped.items()
    ]


def quotas(summary: dict[str, Any]) -> list[dict[str, Any]]:
    """Write calls per target against what its quota would have allowed in the time of the push."""
    seconds = next((step["seconds"] for step in summary["steps"] if step["name"] == "push"), 0)
    rows = []
    for target, calls in summary["calls"].items():
        quota = settings.section("targets", target).get("writes_per_minute")
        floor = calls["write_calls"] * 60 / quota if quota else None
        rows.append(
            {
                "target": target,
                **calls,
                "quota": quota,
                "floor_seconds": floor,
                "push_seconds": seconds,
            }
        )
    return rows


Reach = Callable[[dict[str, Any]], float | None]
TRENDS: tuple[tuple[str, str, Reach], ...] = (
    ("Rows equal to their export", "%", history.equal_share),
    ("Changes applied", "", lambda night: history.measures(night)["applied"]),
    ("Changes held", "", lambda night: history.measures(night)["held"]),
    ("Rows landed", "", lambda night: history.measures(night)["rows"]),
    (
        "Findings, critical and warning",
        "",
        lambda night: history.measures(night)["critical"] + history.measures(night)["warning"],
    ),
    ("Duration", "s", lambda night: history.measures(night)["seconds"]),
)


def trends(nights: list[dict[str, Any]]) -> list[tuple[str, list[dict[str, Any]]]]:
    """Charts over the nights, by what they are about: the night, each target that any of them had,
    each source.
    """
    targets = sorted({row["target"] for night in nights for row in night["targets"]})
    sources = sorted({feed["source"] for night in nights for feed in night["feeds"]})
    of_targets = [
        (f"{target}: {label}", unit, _of_target(target, reach))
        for target in targets
        for label, unit, reach in (
            ("changes applied", "", lambda night: history.measures(night)["applied"]),
            ("rows equal to their export", "%", history.equal_share),
        )
    ]
    of_sources = [
        (f"{source}: age of its oldest feed", words().nights, _age(source)) for source in sources
    ]
    return [
        (about, drawn)
        for about, asked in (
            ("The night", TRENDS),
            ("Each target", of_targets),
            ("Each source", of_sources),
        )
        if (
            drawn := [
                trend
                for label, unit, reach in asked
                if (
                    trend := _trend(
                        label, unit, [(night["as_of"], reach(night)) for night in nights]
                    )
                )["last"]
                is not None
            ]
        )
    ]


def _of_target(target: str, reach: Reach) -> Reach:
    """The same of one target alone; None on a night that did not have it."""

    def of(night: dict[str, Any]) -> float | None:
        rows = [row for row in night["targets"] if row["target"] == target]
        return reach(night | {"targets": rows}) if rows else None

    return of


def _age(source: str) -> Reach:
    """How old the oldest feed of a source was, as nights counted it since they do."""

    def of(night: dict[str, Any]) -> float | None:
        ages = [
            feed["age_days"]
            for feed in night["feeds"]
            if feed["source"] == source and feed.get("age_days") is not None
        ]
        return max(ages, default=None)

    return of


def _trend(label: str, unit: str, points: list[tuple[str, float | None]]) -> dict[str, Any]:
    """A small line as SVG path data (300 x 56) over the nights, with its first, least, most and
    last number.
    """
    scale = 100 if unit == "%" else 1
    known = [(index, scale * value) for index, (_, value) in enumerate(points) if value is not None]
    if not known:
        return {"label": label, "unit": unit, "points": points, "path": "", "last": None}
    values = [value for _, value in known]
    low, high = min(values), max(values)
    width, height, pad = 300, 56, 4
    across = max(len(points) - 1, 1)
    spots = [
        (
            pad + (width - 2 * pad) * index / across,
            height
            - pad
            - (height - 2 * pad) * ((value - low) / (high - low) if high > low else 0.5),
        )
        for index, value in known
    ]
    path = "M" + " L".join(f"{x:.1f},{y:.1f}" for x, y in spots)
    return {
        "label": label,
        "unit": unit,
        "points": points,
        "path": path,
        "end": spots[-1],
        "low": low,
        "high": high,
        "last": values[-1],
    }


def _index() -> list[dict[str, Any]]:
    """One row per run, newest first."""
    rows = []
    for run in reversed(Run.finished()):
        if run.part:
            continue
        recorded = run.facts()
        summary = run.read("summary.json")
        numbers = history.measures(summary) if summary and "verb" in summary else {}
        rows.append(
            {
                "run_id": run.run_id,
                "verb": recorded["verb"],
                "as_of": recorded["as_of"],
                "started_at": recorded["started_at"],
                "status": recorded["status"],
                "exit_code": recorded["exit_code"],
                "applied": numbers.get("applied"),
                "held": numbers.get("held"),
                "seconds": numbers.get("seconds"),
                "has_page": page_of(run).is_file(),
            }
        )
    return rows


def _count(number: float | None, what: str = "") -> str:
    """`1,204 changes`, `1 change`, `no changes`; a bare number without `what`, a dash when there is
    none.
    """
    if number is None:
        return "–"
    if not what:
        return f"{number:,.0f}"
    return f"{number:,.0f} {what}" + ("" if number == 1 else "s") if number else f"no {what}s"


def _span(seconds: float | None) -> str:
    """`42 s`, `2 min 20 s`, `1 h 05 min`."""
    if seconds is None:
        return "–"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    return (
        f"{whole // 60} min {whole % 60:02d} s"
        if whole < 3600
        else f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    )


def _moment(text: str | None) -> str:
    """A time to the minute as the district's clocks showed it, and in UTC beside."""
    if not text:
        return "–"
    utc = datetime.fromisoformat(text).astimezone(UTC)
    here = utc.astimezone(settings.zone())
    other = f"{utc:%H:%M}" if utc.date() == here.date() else f"{utc:%Y-%m-%d %H:%M}"
    return f"{here:%Y-%m-%d %H:%M %Z} ({other} UTC)"


def _breakable(text: str) -> Markup:
    """A long name that may be broken behind its underscores."""
    return Markup("_<wbr>").join(str(shown(text)).split("_"))
