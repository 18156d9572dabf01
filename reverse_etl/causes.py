"""Causes: whether a value differs because the source says otherwise, or because a rule does.

In: what each export is made by (models, seeds, macros, as a hash) and from (its feeds, by the hash
of what they brought), tonight and in the last run whose changes of it all went out. Out: `source`,
`rule`, or `either` where both are others since.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from common.runs import Run
from reverse_etl.model import Export

SOURCE, RULE, EITHER = "source", "rule", "either"
# what is said of a row that is new, of one that left, and of columns that changed
WORDS = {
    SOURCE: ("change_new", "change_left", "columns_in_source"),
    RULE: ("change_new_by_rule", "change_left_by_rule", "columns_by_rule"),
    EITHER: ("change_new_by_either", "change_left_by_either", "columns_by_either"),
}
LEFT = frozenset(left for _, left, _ in WORDS.values())
Ground = dict[str, Any]  # rules: a hash; feeds: [source, feed, hash of its content or the run's id]


def ground(export: Export, feeds: Sequence[Mapping[str, Any]], run_id: str) -> Ground:
    """What an export stands on. A feed nobody has a hash of brings something else every run."""
    brought = {(one["source"], one["feed"]): one.get("sha256") or run_id for one in feeds}
    return {
        "rules": export.made_by,
        "feeds": [[*feed, brought.get(feed, "")] for feed in export.feeds],
    }


def before(run_id: str) -> dict[str, Ground]:
    """`target.entity` -> what its export stood on in the last run before this one whose changes of
    it all went out.
    """
    found: dict[str, Ground] = {}
    began = Run.load(run_id).started_at  # names know seconds only
    earlier = [run for run in Run.every() if run.started_at < began]
    for run in sorted(earlier, key=lambda one: one.started_at, reverse=True):
        # of a plan of nothing there is no push: what it stood on is what the target equals
        plan, outcome = run.read("plan.json"), run.read("outcome.json", {})
        if not plan or plan["undoes"]:
            continue
        if any(value for name, value in plan["scope"].items() if name != "targets"):
            continue  # of a part of the rows
        for part in plan["exports"]:
            name, stood = f"{part['target']}.{part['entity']}", part.get("made_from")
            sent = outcome.get(part["target"], {}).get(part["entity"], {}).get("applied", 0)
            left = any(part.get(one) for one in ("set_aside", "postponed", "waiting"))
            if stood and not left and sum(part["planned"].values()) == sent:
                found.setdefault(name, stood)
        if {f"{part['target']}.{part['entity']}" for part in plan["exports"]} <= {*found}:
            break
    return found


def cause(now: Ground, then: Ground | None) -> str:
    """Why rows of an export differ from what was sent. Where nobody knows, the source's word
    counts.
    """
    if not then or then["rules"] == now["rules"]:
        return SOURCE
    return RULE if then["feeds"] == now["feeds"] else EITHER
