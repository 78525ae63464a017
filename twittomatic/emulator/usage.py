"""GET /2/usage/tweets: what a project has read, in the forms of both published descriptions."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from twittomatic.emulator.answers import Answer, Call, encode, invalid
from twittomatic.emulator.ledger import Ledger

_FIELDS = (
    "cap_reset_day",
    "daily_client_app_usage",
    "daily_project_usage",
    "project_cap",
    "project_id",
    "project_usage",
)
_CAP = 3_000_000
_PROJECT = 1234567


def usage(call: Call, ledger: Ledger, now: float, *, newer: bool) -> Answer:
    """Posts charged to this credential. ``newer``: numbers as text, as the newer description has them."""
    for name in call.params:
        if name not in ("days", "usage.fields"):
            raise invalid(name, call.params[name], f"The query parameter [{name}] is not one of [days,usage.fields]")
    days = call.params.get("days", "7")
    if not days.isdecimal() or not 1 <= int(days) <= 90:
        raise invalid("days", days, f"The `days` query parameter value [{days}] is not between 1 and 90")
    today = datetime.fromtimestamp(now, UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    read = ledger.posts_read(call.credential)
    rows = []
    for back in range(int(days)):
        date = (today - timedelta(days=back)).date().isoformat()
        count = read.get(date, 0)
        rows.append({"date": f"{date}T00:00:00.000Z", "usage": str(count) if newer else count})
    total = sum(read.values())
    document = {
        "cap_reset_day": 32 - today.day if today.day > 1 else 30,
        "daily_client_app_usage": [{"client_app_id": "1", "usage": rows, "usage_result_count": len(rows)}],
        "daily_project_usage": {"project_id": str(_PROJECT) if newer else _PROJECT, "usage": rows},
        "project_cap": str(_CAP) if newer else _CAP,
        "project_id": str(_PROJECT),
        "project_usage": str(total) if newer else total,
    }
    wanted = call.params.get("usage.fields", "project_cap,project_id,project_usage,cap_reset_day").split(",")
    for name in wanted:
        if name not in _FIELDS:
            raise invalid("usage.fields", name, f"The `usage.fields` query parameter value [{name}] is not known")
    return Answer(200, encode({"data": {name: document[name] for name in _FIELDS if name in wanted}}))
