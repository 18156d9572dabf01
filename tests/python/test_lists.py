"""What an answer says of the rest of its list, in the words of the APIs that are met."""

from __future__ import annotations

from typing import Any

import pytest

from common import lists

SAYS_MORE: list[tuple[Any, dict[str, str]]] = [
    ({"total": 208}, {}),
    ({"totalCount": 208}, {}),
    ({"total_count": "208"}, {}),
    ({"@odata.count": 208}, {}),
    ({"count": 208}, {}),
    ({"meta": {"total": 208}}, {}),
    ({"_meta": {"totalRecords": 208}}, {}),
    ({"page": {"totalElements": 208, "number": 0}}, {}),
    ({"pagination": {"total_pages": 3}}, {}),
    ({"next": "https://x.example?page=2"}, {}),
    ({"@odata.nextLink": "https://x.example?$skip=100"}, {}),
    ({"links": {"next": "/x?page=2"}}, {}),
    ({"_links": {"next": {"href": "/x?page=2"}}}, {}),
    ({"nextPageToken": "abc"}, {}),
    ({"response_metadata": {}, "next_cursor": "abc"}, {}),
    ({"has_more": True}, {}),
    ({"pageInfo": {"hasNextPage": True}}, {}),
    ({"isTruncated": "true"}, {}),
    ([], {"X-Total-Count": "208"}),
    ([], {"x-wp-total": "208"}),
    ([], {"Content-Range": "items 0-99/208"}),
    ([], {"Link": '<https://x.example?page=2>; rel="next"'}),
]
SAYS_NOTHING: list[tuple[Any, dict[str, str]]] = [
    ({"total": 100}, {}),
    ({"count": 100, "next": None, "previous": None}, {}),
    ({"links": {"self": "/x", "next": ""}}, {}),
    ({"has_more": False, "pages": 1}, {}),
    ({"status": "ok", "version": 208}, {}),
    ([], {"X-Total-Count": "100", "Content-Length": "20800"}),
    ([], {"Link": '<https://x.example?page=1>; rel="prev"'}),
    ([], {"Content-Range": "items 0-99/*"}),
]


@pytest.mark.parametrize("at", range(len(SAYS_MORE)))
def test_an_answer_that_says_there_is_more_is_heard(at: int) -> None:
    document, headers = SAYS_MORE[at]
    assert lists.more(document, headers, 100)
    assert not lists.counts(document, headers, 100)


@pytest.mark.parametrize("at", range(len(SAYS_NOTHING)))
def test_an_answer_that_does_not_is_left_alone(at: int) -> None:
    document, headers = SAYS_NOTHING[at]
    assert lists.more(document, headers, 100) == ""
    counted = document == {"total": 100} or headers.get("X-Total-Count") == "100"
    assert lists.counts(document, headers, 100) == (counted or "count" in document)
