"""What an index's JSON says about projects, results of tox, and `.pypirc`."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stilton_client import pypirc, releases, toxresults, urls
from stilton_client.errors import Failure

RUN = {"command": ["python", "-m", "pytest"], "output": "1 passed", "retcode": 0}


@pytest.mark.parametrize(
    ("spec", "name", "has", "exact"),
    [
        ("pytest", "pytest", False, None),
        ("pytest==2.3.5", "pytest", True, "2.3.5"),
        ("pytest ===2.3.5", "pytest", True, "2.3.5"),
        ("pytest==2.*", "pytest", True, None),
        ("pytest>=2.3,<3", "pytest", True, None),
        ("Py.Test_x==1.0+local.1", "Py.Test_x", True, "1.0+local.1"),
        ("pytest==2004d-broken", "pytest", True, "2004d-broken"),
    ],
)
def test_a_requirement_says_what_is_wanted(spec: str, name: str, *, has: bool, exact: str | None) -> None:
    wanted = releases.wanted(spec)

    assert (wanted.name, wanted.has_versions, wanted.exact) == (name, has, exact)
    assert exact is None or wanted.matches(exact)


@pytest.mark.parametrize("spec", ["", "==1", "a b", "https://x/y", "-x", "a==", "../a==1"])
def test_what_is_no_requirement_is_refused(spec: str) -> None:
    with pytest.raises(Failure, match="is no requirement"):
        releases.wanted(spec)


def test_pre_releases_are_versions_and_odd_ones_match_only_by_their_own_name() -> None:
    assert releases.wanted("a>=1").matches("2.0rc1")
    assert releases.wanted("a").matches("2004d-broken")
    assert not releases.wanted("a>=1").matches("2004d-broken")


def test_newest_come_first_and_odd_versions_last() -> None:
    found = ["1.0", "1.0.post1", "odd-one", "2.0rc1", "1.10", "1.9", "another odd", "2.0", "1!0.1"]

    assert releases.newest_first(found) == [
        "1!0.1", "2.0", "2.0rc1", "1.10", "1.9", "1.0.post1", "1.0", "odd-one", "another odd",
    ]  # fmt: skip


@given(st.lists(st.text(max_size=6) | st.from_regex(r"\d{1,2}(\.\d){0,2}(a\d)?", fullmatch=True)))
def test_any_versions_can_be_sorted(versions: list[str]) -> None:
    assert sorted(releases.newest_first(versions)) == sorted(versions)


def test_links_are_made_absolute_and_odd_ones_left_out() -> None:
    release = {
        "+links": [
            {"rel": "releasefile", "href": "../+f/1/2/a-1.zip#sha256=ab", "hash_spec": "sha256=ab"},
            {"rel": "toxresult", "href": "http://h/t", "for_href": "../+f/1/2/a-1.zip#x", "hashes": {"sha256": "cd"}},
            {"rel": "releasefile"}, "text", {"rel": "releasefile", "href": 5}, None,
        ]
    }  # fmt: skip
    found = releases.links(release, "http://h/u/i/a/")

    assert [link.href for link in found] == ["http://h/u/i/+f/1/2/a-1.zip", "http://h/t"]
    assert [link.hashes for link in found] == [{"sha256": "ab"}, {"sha256": "cd"}]
    assert found[1].for_href == found[0].href
    assert found[0].basename == "a-1.zip"
    assert releases.links(release, "http://h/u/i/a/", "toxresult") == found[1:]
    assert releases.links({}, "http://h/") == []
    assert releases.links({"+links": None}, "http://h/") == []


# -- tox ------------------------------------------------------------------------------------------


def a_result(**environments: Any) -> dict[str, Any]:
    return {"host": "box", "platform": "linux", "testenvs": environments}


@pytest.mark.parametrize(
    ("environment", "lines"),
    [
        ({"setup": [RUN], "test": [RUN], "python": {"version": "3.11.7 (main)"}}, ["py 3.11.7 tests passed"]),
        ({"setup": [RUN], "test": [RUN]}, ["py tests passed"]),
        ({"setup": [RUN], "test": [{**RUN, "retcode": 1}]}, ["py tests failed"]),
        ({"setup": [RUN], "test": [{**RUN, "retcode": "1"}]}, ["py tests failed"]),
        ({"setup": [RUN], "test": [{**RUN, "retcode": "0"}]}, ["py tests passed"]),
        ({"setup": [{**RUN, "retcode": 2}], "test": []}, ["py setup failed", "py no tests were run"]),
        ({"test": [RUN]}, ["py no setup was performed", "py tests passed"]),
        ({}, ["py no setup was performed", "py no tests were run"]),
    ],
)
def test_a_result_of_tox_is_told_in_lines(environment: dict[str, Any], lines: list[str]) -> None:
    (found,) = toxresults.environments(a_result(py=environment))

    told = [" ".join(text.split()) for text, _, _ in found.verdicts]
    assert told == [f"box linux {line}" for line in lines]
    assert found.passed == (told[-1].endswith("passed") and "setup failed" not in told[0])


@pytest.mark.parametrize(
    "document", [None, [], {}, {"testenvs": {"py": {}}}, a_result(py={"test": [{}]}), a_result(py=None)]
)
def test_what_is_no_result_of_tox_is_said_to_be_none(document: object) -> None:
    with pytest.raises(ValueError, match="no result of tox"):
        toxresults.environments(document)


# -- .pypirc --------------------------------------------------------------------------------------


def test_a_repository_is_read_from_pypirc_with_every_character_of_its_password(tmp_path: Path) -> None:
    path = tmp_path / ".pypirc"
    path.write_text(
        "[distutils]\nindex-servers = mine\n[mine]\nrepository = https://packages.example.com/up\n"
        "username: bob\npassword = 50%off;#x\n[pypi]\npassword = pypi-token\n"
    )
    mine, standard = (pypirc.repository(name, path, must_exist=True) for name in ("mine", "pypi"))

    assert (mine.url, mine.username, mine.password) == ("https://packages.example.com/up", "bob", "50%off;#x")
    assert (standard.url, standard.username, standard.password) == (pypirc.default_url(), "__token__", "pypi-token")
    assert urls.is_http(standard.url)
    assert "50%off" not in repr(mine)


def test_pypi_and_urls_need_no_pypirc_and_other_names_do(tmp_path: Path) -> None:
    path = tmp_path / "none"

    assert pypirc.repository("pypi", path, must_exist=False).username == "__token__"
    by_url = pypirc.repository("https://me:word@h/up", path, must_exist=False)
    assert (by_url.url, by_url.username, by_url.password) == ("https://h/up", "me", "word")
    for name, must in (("mine", False), ("pypi", True)):
        with pytest.raises(Failure, match="no pypirc file found"):
            pypirc.repository(name, path, must_exist=must)


@pytest.mark.parametrize(
    ("content", "problem"), [("[a]\nx=1\n", "has no section \\[mine\\]"), ("x", "is not understood")]
)
def test_a_pypirc_without_what_is_wanted_is_named(tmp_path: Path, content: str, problem: str) -> None:
    (tmp_path / "rc").write_text(content)

    with pytest.raises(Failure, match=problem):
        pypirc.repository("mine", tmp_path / "rc", must_exist=True)


# -- URLs -----------------------------------------------------------------------------------------


def test_the_folders_above_a_url_come_in_order() -> None:
    assert list(urls.upwards("http://h:1/a/b/c?q#f")) == [
        "http://h:1/a/b/c", "http://h:1/a/b/", "http://h:1/a/", "http://h:1/",
    ]  # fmt: skip
    assert list(urls.upwards("http://h")) == ["http://h", "http://h/"]
    assert list(urls.upwards("http://h/a/")) == ["http://h/a/", "http://h/"]


@given(st.from_regex(r"https?://[a-z]{1,5}(:[0-9]{2,4})?(/[a-z+]{0,4}){0,4}", fullmatch=True))
def test_a_url_s_way_up_ends_at_its_root(url: str) -> None:
    way = list(urls.upwards(url))

    assert way[-1].count("/") == 3
    assert all(urls.same_server(url, step) for step in way)


@given(st.text(), st.text())
def test_a_login_in_a_url_comes_out_as_it_went_in_and_is_hidden(user: str, password: str) -> None:
    made = urls.with_login("https://h:1/p", user, password)

    assert urls.without_login(made) == ("https://h:1/p", (user, password))
    assert urls.hidden(made).startswith(f"https://{made[8:].partition(':')[0]}:****@" if password else "https://****@")
    assert urls.hidden(made).endswith("****@h:1/p")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://ann:secret@h/p", "https://ann:****@h/p"),
        ("https://a-token@h/p", "https://****@h/p"),
        ("https://a-token:@h/p", "https://****@h/p"),
        ("https://__token__:secret@h/p", "https://****@h/p"),
        ("https://:secret@h/p", "https://:****@h/p"),
        ("https://h/p@1", "https://h/p@1"),
    ],
    ids=["password", "user-alone", "empty-password", "token", "password-alone", "no-login"],
)
def test_nothing_is_shown_of_a_login_that_may_be_a_token(url: str, shown: str) -> None:
    assert urls.hidden(url) == shown
