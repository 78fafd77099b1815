"""The part of an address that all pages share, which links between them keep: its time range, whether the window before
is shown, and its filters.

`static/dashboard/js/page/view-query.js` has the same rules, because the address changes while a page is open.
"""

from __future__ import annotations

from collections.abc import Mapping

from django.http import QueryDict

from metrics.queries.parameters import WINDOW_PARAMETERS, filter_names


def view_query(params: QueryDict, change: Mapping[str, str | None] | None = None) -> str:
    """Return `?range=1h&model=a`, or an empty text for neither. `change` sets filters; None removes one."""
    kept = QueryDict(mutable=True)
    for name in (*WINDOW_PARAMETERS, "compare", *filter_names()):
        if name in params:
            kept.setlist(name, params.getlist(name))
    for name, value in (change or {}).items():
        kept.setlist(name, [] if value is None else [value])
    text = kept.urlencode()
    return f"?{text}" if text else ""
