"""The twin's answers validate against both published descriptions of the API."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from openapi_schema_validator import OAS30Validator

from twittomatic.emulator import Emulator, EmulatorOptions, FaultPlan

DESCRIPTIONS = {"tweet": "openapi-2.159.json", "post": "openapi-2.167.json"}
PATHS = (
    ("/2/users/{id}/tweets", {"max_results": "100"}),
    ("/2/users/{id}/tweets", {"max_results": "5", "exclude": "replies"}),
    ("/2/users/{id}/followers", {"max_results": "1000"}),
    ("/2/users/{id}/following", {"max_results": "10"}),
    ("/2/users/{id}", {}),
    ("/2/users/by/username/{username}", {}),
    ("/2/users", {"ids": "*"}),
    ("/2/users/by", {"usernames": "*"}),
    ("/2/tweets", {"ids": "tweets"}),
    ("/2/usage/tweets", {"days": "3"}),
)


class Described:
    """A twin that speaks one dialect, beside the description of it."""

    def __init__(self, url: str, document: dict[str, Any]) -> None:
        self.url, self.document, self.session = url, document, requests.Session()
        self.session.headers["Authorization"] = "Bearer described"
        self.seeds = self.get("/_world/seeds", {"n": "60"}).json()
        self.tweets = [one for user in self.seeds["ids"][:9] for one in self.truth(user)["tweets"][:9]]

    def get(self, path: str, params: dict[str, str] | None = None) -> requests.Response:
        return self.session.get(self.url + path, params=params, timeout=30)

    def truth(self, user: str) -> dict[str, Any]:
        return dict(self.get(f"/_world/user/{user}").json())

    def everything(self, path: str) -> dict[str, str]:
        """Every field and expansion that the description knows for a path."""
        found = {}
        for parameter in self.document["paths"][path]["get"].get("parameters", []):
            if "$ref" in parameter:
                parameter = self.document["components"]["parameters"][parameter["$ref"].rpartition("/")[2]]
            values = parameter["schema"].get("items", {}).get("enum")
            if values and parameter["name"].endswith((".fields", "expansions")):
                found[parameter["name"]] = ",".join(values)
        return found

    def check(self, path: str, answer: requests.Response) -> None:
        """The body validates as the description wants it for this status."""
        responses = self.document["paths"][path]["get"]["responses"]
        content = responses["200" if answer.status_code == 200 else "default"]["content"]
        kind = "application/json" if answer.status_code == 200 else "application/problem+json"
        schema = {**content[kind]["schema"], "components": self.document["components"]}
        errors = [
            f"{list(e.absolute_path)}: {e.message[:200]}" for e in OAS30Validator(schema).iter_errors(answer.json())
        ]
        assert not errors, (path, errors[:5])


@pytest.fixture(scope="module", params=DESCRIPTIONS)
def described(request: pytest.FixtureRequest, test_data: Path) -> Iterator[Described]:
    document = json.loads((test_data / "x_v2" / DESCRIPTIONS[request.param]).read_text())
    plan = FaultPlan(rate=1.0, mix={"partial": 1.0}, repeats=10**9, endpoints=frozenset({"users/:id/followers"}))
    with Emulator(EmulatorOptions(users=3000, seed=9, dialect=request.param, faults=plan, hidden=0.2)) as url:
        made = Described(url, document)
        yield made
        made.session.close()


@pytest.mark.parametrize(("path", "extra"), PATHS)
@pytest.mark.parametrize("fields", ["all", "default"])
def test_answers_validate(described: Described, path: str, extra: dict[str, str], fields: str) -> None:
    lists = {"*": described.seeds["names" if "usernames" in extra else "ids"], "tweets": [*described.tweets[:90], "1"]}
    params = {name: ",".join(lists[value]) if value in lists else value for name, value in extra.items()}
    if fields == "all":
        params |= described.everything(path)
    subjects = described.seeds["names" if "username" in path else "ids"] if "{" in path else [""]
    seen = set()
    for subject in subjects[:40]:
        answer = described.get(re.sub(r"\{\w+\}", subject, path), params)
        assert answer.status_code == 200, answer.text
        described.check(path, answer)
        seen |= set(answer.json())
    if "tweets" in path and fields == "all" and "usage" not in path:
        assert {"data", "includes", "errors"} <= seen


def test_every_field_that_was_asked_for_and_exists_is_described(described: Described) -> None:
    """Nothing is served under a name that the description does not have."""
    name = "Post" if described.document["components"]["schemas"].get("Post") else "Tweet"
    known = set(described.document["components"]["schemas"][name]["properties"])
    users = set(described.document["components"]["schemas"]["User"]["properties"])
    path = "/2/users/{id}/tweets"
    for subject in described.seeds["ids"][:20]:
        page = described.get(path.replace("{id}", subject), {"max_results": "100", **described.everything(path)}).json()
        assert {key for tweet in page.get("data", []) for key in tweet} <= known
        assert {key for user in page.get("includes", {}).get("users", []) for key in user} <= users


@pytest.mark.parametrize("params", [{"max_results": "3"}, {"pagination_token": "Z" * 16}, {"unknown": "1"}])
def test_refusals_validate(described: Described, params: dict[str, str]) -> None:
    user = described.get("/_world/seeds", {"n": "1", "state": "public"}).json()["ids"][0]
    answer = described.get(f"/2/users/{user}/tweets", params)
    assert answer.status_code == 400
    assert answer.headers["Content-Type"] == "application/problem+json"
    described.check("/2/users/{id}/tweets", answer)
