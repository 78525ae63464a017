"""Credentials: forms of the file and of the environment, and that no secret ever shows."""

from __future__ import annotations

import pickle
import traceback
from pathlib import Path

import pytest

from twittomatic.errors import CredentialsError
from twittomatic.sources.credentials import Credential, environment_credentials, load_credentials, read_credentials

TOKEN = "AAAAsecretAAAAAAAAAAAA%3Dwxyz"
FOUR = {"consumer_key": "ckckckckckckck", "consumer_secret": "cscscscscs", "token": "12-tttttttttt-last",
        "token_secret": "tstststs"}  # fmt: skip


def written(folder: Path, text: str, mode: int = 0o600) -> Path:
    path = folder / "credentials.toml"
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)
    return path


def oauth1_lines(leave_out: str = "") -> str:
    return "".join(f'{key} = "{value}"\n' for key, value in FOUR.items() if key != leave_out)


def test_a_file_with_both_kinds(tmp_path: Path) -> None:
    path = written(tmp_path, f'[lab]\nbearer = "{TOKEN}"\nowner = "the lab"\n[me]\n{oauth1_lines()}')
    found = read_credentials(path)
    assert list(found) == ["lab", "me"]
    assert (found["lab"].kind, found["lab"].owner, found["lab"].reveal()) == ("bearer", "the lab", (TOKEN,))
    assert (found["me"].kind, found["me"].reveal()) == ("oauth1", tuple(FOUR.values()))
    assert (found["lab"].last4, found["me"].last4) == ("wxyz", "last")


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660, 0o601])
def test_a_file_that_others_may_read_is_refused_with_the_mend(tmp_path: Path, mode: int) -> None:
    path = written(tmp_path, f'[lab]\nbearer = "{TOKEN}"\n', mode)
    with pytest.raises(CredentialsError) as caught:
        read_credentials(path)
    assert f"mode {mode:o}" in caught.value.message
    assert caught.value.mend == f"chmod 600 {path}"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (f'bearer = "{TOKEN}"', "outside of a table"),
        (f'[lab]\nbarer = "{TOKEN}"', "did you mean bearer?"),
        ("[lab]\nbearer = 12345", "bearer is not a text"),
        ('[lab]\nbearer = ""', "bearer is empty"),
        (f'[lab]\nbearer = "Bearer {TOKEN}"', "a space"),
        ("[lab]\n" + oauth1_lines(leave_out="token_secret"), "lacks token_secret"),
        ("[lab]\n", "lacks its tokens"),
        (f'[lab]\nbearer = "{TOKEN}"\n{oauth1_lines()}', "both bearer and OAuth 1.0a"),
        (f'["a:b"]\nbearer = "{TOKEN}"', "the label 'a:b' has a wrong form"),
        (f'[lab]\nbearer = "{TOKEN}\n', "line 2"),
    ],
)
def test_a_malformed_file_names_the_place_and_never_the_secret(tmp_path: Path, text: str, says: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(CredentialsError) as caught:
        read_credentials(path)
    assert str(path) in str(caught.value)
    assert says in str(caught.value)
    shown = "".join(traceback.format_exception(caught.value))
    assert TOKEN not in shown
    assert "secretAAAA" not in shown


def test_a_file_that_is_no_text_and_one_that_is_not_there(tmp_path: Path) -> None:
    path = written(tmp_path, "")
    path.write_bytes(b"[lab]\nbearer = \xff")
    with pytest.raises(CredentialsError, match="not UTF-8"):
        read_credentials(path)
    with pytest.raises(CredentialsError, match="No such file"):
        read_credentials(tmp_path / "nothing.toml")
    assert load_credentials(tmp_path / "nothing.toml", {}) == {}


def test_the_environment_gives_labels_in_lower_case_and_wins_over_the_file(tmp_path: Path) -> None:
    path = written(tmp_path, f'[lab]\nbearer = "{TOKEN}"\n[other]\nbearer = "{TOKEN}"\n')
    environ = {
        "TWITTOMATIC_BEARER": "token-without-a-label",
        "TWITTOMATIC_BEARER_LAB": "token-of-the-environment",
        "TWITTOMATIC_OAUTH1_ME": ":".join(FOUR.values()),
        "TWITTOMATIC_BEARER_EMPTY": "",
        "TWITTOMATIC_BEARERS": "no variable of ours",
        "HOME": "/nowhere",
    }
    found = load_credentials(path, environ)
    assert sorted(found) == ["bearer", "lab", "me", "other"]
    assert found["lab"].reveal() == ("token-of-the-environment",)
    assert found["me"].reveal() == tuple(FOUR.values())


@pytest.mark.parametrize(
    ("environ", "says"),
    [
        ({"TWITTOMATIC_OAUTH1_ME": "only:three:parts"}, "3 parts instead of 4"),
        ({"TWITTOMATIC_BEARER_A": "two words"}, "TWITTOMATIC_BEARER_A"),
        ({"TWITTOMATIC_BEARER_A": TOKEN, "TWITTOMATIC_OAUTH1_A": "a:b:c:d"}, "given twice"),
    ],
)
def test_a_malformed_variable_is_named(environ: dict[str, str], says: str) -> None:
    with pytest.raises(CredentialsError, match=says) as caught:
        environment_credentials(environ)
    assert TOKEN not in str(caught.value)


def test_no_text_form_of_a_credential_holds_a_secret() -> None:
    credential = Credential("me", "oauth1", list(FOUR.values()))
    shown = f"{credential} {credential!r} {[credential]} {vars(type(credential)).keys()}"
    assert not any(secret in shown for secret in FOUR.values())
    assert "last" in repr(credential)
    with pytest.raises(TypeError, match="not written"):
        pickle.dumps(credential)


def test_a_short_token_shows_nothing_of_itself() -> None:
    assert Credential("demo", "bearer", ["demo-token"]).last4 == ""


def test_redact_takes_every_secret_out() -> None:
    credential = Credential("me", "oauth1", list(FOUR.values()))
    echoed = "you sent {consumer_key} and {token_secret}!".format(**FOUR).encode()
    assert credential.redact(echoed) == b"you sent [me] and [me]!"
