"""What may be written down: no secret, one line, a bounded length; found out in time that grows with the text alone."""

import pytest

from stilton.domain.redaction import one_line, redacted, redacted_parts

LONG = 400_000
"""More characters than a URL has that the HTTP server takes (64 kB). Time by its square would be minutes."""


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://me:p@ss@host/x", "https://****@host/x"),
        ("https://host/x?a=1&X-Amz-Signature=abc&b=2", "https://host/x?a=1&X-Amz-Signature=****&b=2"),
        ("https://host/x?sv=1&sig=a%2Fb", "https://host/x?sv=1&sig=****"),
        ("https://host/x?X-Goog-Credential=me", "https://host/x?X-Goog-Credential=****"),
        ("?page=1;PASSWD=x", "?page=1;PASSWD=****"),
        ("?passenger", "?passenger"),
        ("{'Authorization': 'Basic YTpi'}", "{'Authorization': '****'}"),
        ("Proxy-Authorization: Basic YTpi", "Proxy-Authorization: ****"),
        ("authorization=bearer abc.def", "authorization=****"),
        ("(b'Authorization', b'Basic YTpi')", "(b'Authorization', b'****')"),
        ("X-Devpi-Auth: YTpi", "X-Devpi-Auth: ****"),
        ("/stilton-login-abc.def/x", "/stilton-login-****/x"),
        ("nothing = secret", "nothing = secret"),
    ],
)
def test_a_secret_is_hidden_and_the_rest_is_shown(text: str, shown: str) -> None:
    assert redacted(text) == shown


def test_a_secret_is_hidden_in_every_part_of_a_value() -> None:
    value = {"steps": [[403, 'sent "Authorization": "Basic YTpi"'], ("?token=x", None, True)], "url": "https://a:b@h/"}

    assert redacted_parts(value) == {
        "steps": [[403, 'sent "Authorization": "****"'], ["?token=****", None, True]],
        "url": "https://****@h/",
    }


@pytest.mark.parametrize("text", ["pass", "token=", "?", "&key", "authorization ", "://", "@", "stilton-login-", "a"])
def test_a_text_of_any_length_is_looked_through_at_once(text: str) -> None:
    whole = "/?x=1&" + text * (LONG // len(text))

    assert redacted(whole).startswith("/?x=1&")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\n2026-01-31 12:00:00,123 INFO  forged", r"a\n2026-01-31 12:00:00,123 INFO  forged"),
        ("\x1b[2J\r\x00\x7f\x9b", r"\x1b[2J\r\x00\x7f\x9b"),
        ("\u2028\x85\ud800", r"\u2028\x85\ud800"),
        ("Käse … 奶酪", "Käse … 奶酪"),
        ("x" * 11, "x" * 10 + "… (11 characters)"),
    ],
    ids=["line", "terminal", "unicode", "words", "long"],
)
def test_a_line_is_one_line(text: str, shown: str) -> None:
    assert one_line(text, 40 if len(set(text)) > 1 else 10) == shown
