"""A project under our ``runserver`` gives the same answers and log lines as under Django's."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest

from tests.project import Project, Site

HOST = "localhost:4711"
"""Both servers are asked under one name, so that pages with addresses in them agree."""

# Date and Server differ by nature; the last two are between the server and the client's connection.
OWN_HEADERS = ("date", "server", "connection", "transfer-encoding")

CHANGING = [
    (r'(name="csrfmiddlewaretoken" value=")\w+', r"\1"),
    (r"(csrftoken=|sessionid=)\w+", r"\1"),
    (r"(messages=[^:;]+):[^;]+", r"\1"),  # the second at which it was signed, and the signature
    (r"expires=[^;]+", "expires="),
    (r"^\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT$", "a date"),
    (r"(<th>Server time:</th>\s*<td>)[^<]+", r"\1"),
]


def normal(text: str) -> str:
    for pattern, replacement in CHANGING:
        text = re.sub(pattern, replacement, text)
    return text


def seen(response: httpx.Response) -> dict[str, Any]:
    """The part of an answer that has to be the same."""
    headers = [(name, normal(value)) for name, value in response.headers.multi_items() if name not in OWN_HEADERS]
    try:
        body: Any = normal(response.content.decode())
    except UnicodeDecodeError:
        body = response.content
    return {"status": response.status_code, "headers": sorted(headers), "body": body}


def agree(ours: httpx.Response, theirs: httpx.Response) -> httpx.Response:
    """Check that two answers are the same. Returns ours."""
    # Django's server may leave the length of an answer open, and gives one to those that have no content.
    lengths = [response.headers.get("content-length") for response in (ours, theirs)]
    if None in lengths or ours.status_code in (204, 304):
        for response in (ours, theirs):
            response.headers.pop("content-length", None)
    assert seen(ours) == seen(theirs)
    return ours


def both(site: Site, plain: Site, method: str, url: str, **options: Any) -> tuple[Any, Any]:
    options["headers"] = {"Host": HOST, **options.get("headers", {})}
    return tuple(server.http.request(method, url, **options) for server in (site, plain))  # type: ignore[return-value]


def same(site: Site, plain: Site, method: str, url: str, **options: Any) -> httpx.Response:
    """Ask both servers, and check that the answers agree. Returns ours."""
    return agree(*both(site, plain, method, url, **options))


FORM = {"content-type": "application/x-www-form-urlencoded"}


def upload(name: str, content: bytes) -> dict[str, Any]:
    """A form with a file in it, whose boundary is the same for both."""
    headers = {"content-type": "multipart/form-data; boundary=0123456789abcdef"}
    return {"files": {"file": (name, content, "text/plain")}, "data": {"a": "1"}, "headers": headers}


@pytest.mark.parametrize(
    ("method", "url", "status", "options"),
    [
        ("GET", "/meta/", 200, {}),
        ("GET", "/meta/?a=1&a=2&b=%20%C3%A9&c", 200, {}),
        ("GET", "/meta/", 200, {"headers": {"X-Custom": "caf\u00e9".encode("latin-1"), "Accept": "*/*"}}),
        ("GET", "/meta/", 200, {"headers": {"Cookie": "a=1; b=2; c"}}),
        ("GET", "/meta/", 200, {"headers": {"X_Forged": "1", "X-Real": "2"}}),
        ("POST", "/meta/", 200, {"data": {"name": "J\u00fcrgen", "text": "a&b=c"}}),
        (
            "POST",
            "/meta/",
            200,
            {"content": b"\xff\x00" * 100, "headers": {"content-type": "application/octet-stream"}},
        ),
        ("POST", "/meta/", 200, {"content": b"a=1&a=2&b=%zz", "headers": FORM}),
        ("POST", "/meta/", 200, upload("f\u00fcr.txt", b"content")),
        ("POST", "/meta/", 200, upload("large.bin", bytes(range(256)) * 20_000)),
        ("PUT", "/meta/", 200, {"content": b"{}", "headers": {"content-type": "application/json"}}),
        ("DELETE", "/meta/", 200, {}),
        ("OPTIONS", "/meta/", 200, {}),
        ("GET", "/stream/", 200, {}),
        ("GET", "/big/", 200, {}),
        ("GET", "/empty/", 204, {}),
        ("GET", "/cookies/", 302, {}),
        ("GET", "/meta", 301, {}),
        ("POST", "/caf%C3%A9%20ol%C3%A9/", 403, {}),
        ("GET", "/caf%C3%A9%20ol%C3%A9/", 200, {}),
        ("GET", "/nothing/here/?a=1", 404, {}),
        ("GET", "/", 404, {}),
        ("HEAD", "/big/", 200, {}),
        ("HEAD", "/nothing/", 404, {}),
        ("GET", "/static/admin/css/base.css", 200, {}),
        ("HEAD", "/static/admin/css/base.css", 200, {}),
        ("GET", "/static/admin/img/icon-yes.svg", 200, {}),
        ("GET", "/static/admin/css/missing.css", 404, {}),
        ("GET", "/static/../mysite/settings.py", 404, {}),
        ("GET", "/static/admin/", 404, {}),
        ("POST", "/static/admin/css/base.css", 200, {}),
    ],
    ids=lambda value: str(value)[:40],
)
def test_answers(site: Site, plain: Site, method: str, url: str, status: int, options: dict[str, Any]) -> None:
    assert same(site, plain, method, url, **options).status_code == status


def test_a_file_that_has_not_changed(site: Site, plain: Site) -> None:
    url = "/static/admin/css/base.css"
    modified = same(site, plain, "GET", url).headers["last-modified"]
    response = same(site, plain, "GET", url, headers={"If-Modified-Since": modified})
    assert (response.status_code, response.content) == (304, b"")


@pytest.mark.parametrize(
    ("method", "url", "status", "options", "error"),
    [
        ("GET", "/boom/?a=1", 500, {}, "a bug in the view"),
        ("POST", "/meta/", 400, {"data": {f"f{n}": "1" for n in range(1001)}}, "DATA_UPLOAD_MAX_NUMBER_FIELDS"),
        ("GET", "/meta/", 400, {"headers": {"Host": "evil.example"}}, "evil.example"),
    ],
    ids=["500", "too many fields", "a host of another"],
)
def test_error_pages(
    site: Site, plain: Site, method: str, url: str, status: int, options: dict[str, Any], error: str
) -> None:
    """They also show objects of the server, which differ. The parts for developers are the same."""
    pages = both(site, plain, method, url, **options)
    assert [page.status_code for page in pages] == [status, status]
    for pattern in (
        r"<title>.*?</title>",
        r"<h1>.*?</h1>",
        r'<pre class="exception_value">.*?</pre>',
        r"<th[^>]*>Request Method:.*?</tr>",
        r"<th[^>]*>Request URL:.*?</tr>",
        r"<th[^>]*>Exception (?:Type|Value|Location):.*?</tr>",
        r"<th[^>]*>Raised during:.*?</tr>",
        r'<h3 id="[a-z]+-info">.*?</h3>',
        r"mysite/urls\.py</code>, line \d+, in \w+",
        r"<td>secret_of_the_frame</td>.*?</tr>",
    ):
        found = [re.findall(pattern, page.text, re.DOTALL) for page in pages]
        assert found[0] == found[1], pattern
    assert error in pages[0].text
    for server in (site, plain):
        server.server.wait(error)


def test_paths_that_lead_out_of_the_static_files(site: Site) -> None:
    for path in (
        "/static/%2e%2e/mysite/settings.py",
        "/static/..%2fmysite/settings.py",
        "/static/%00",
        "/caf%FF/",
    ):
        response = site.http.get(path)
        assert response.status_code in (400, 404)
        assert "SECRET_KEY = " not in response.text


def test_the_admin(site: Site, plain: Site) -> None:
    """Log in, change an object, see that it changed, log out; all on the same database."""

    def submit(url: str, data: dict[str, str], form: str = "") -> httpx.Response:
        answers = []
        for server in (site, plain):
            page = server.http.get(form or url, headers={"Host": HOST})
            token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)', page.text)
            assert token
            fields = {**data, "csrfmiddlewaretoken": token[1]}
            answers.append(server.http.post(url, data=fields, headers={"Host": HOST}))
        return agree(*answers)

    try:
        assert same(site, plain, "GET", "/admin/").status_code == 302
        assert (
            "Please enter the correct username"
            in submit("/admin/login/", {"username": "admin", "password": "?"}).text
        )
        entered = submit("/admin/login/?next=/admin/auth/", {"username": "admin", "password": "secret"})
        assert (entered.status_code, entered.headers["location"]) == (302, "/admin/auth/")
        assert "Writers" in same(site, plain, "GET", "/admin/auth/group/").text
        assert 'value="Writers"' in same(site, plain, "GET", "/admin/auth/group/1/change/").text
        assert "This field is required" in submit("/admin/auth/group/1/change/", {"name": ""}).text
        changed = submit("/admin/auth/group/1/change/", {"name": "J\u00fcrgen & Co"})
        assert changed.status_code == 302
        listed = same(site, plain, "GET", "/admin/auth/group/").text
        assert "was changed successfully" in listed
        assert "J\u00fcrgen &amp; Co" in listed
        assert same(site, plain, "GET", "/admin/auth/user/?q=nobody").status_code == 200
        assert same(site, plain, "GET", "/admin/jsi18n/").status_code == 200
        assert same(site, plain, "GET", "/admin/nothing/").status_code == 404
        assert same(site, plain, "POST", "/admin/auth/group/add/", data={"name": "forged"}).status_code == 403
        assert "Logged out" in submit("/admin/logout/", {}, form="/admin/").text
    finally:
        for server in (site, plain):
            server.http.cookies.clear()


def lines(log: str) -> list[str]:
    """The access lines since the mark, without their times."""
    found = re.findall(r"^\[\d\d/\w{3}/\d{4} \d\d:\d\d:\d\d\] (\".*)$", log, re.MULTILINE)
    start = max(index for index, line in enumerate(found) if "mark-for-lines" in line)
    return found[start:]


def test_access_lines(site: Site, plain: Site) -> None:
    for method, url in [
        ("GET", "/meta/?mark-for-lines"),
        ("GET", "/big/"),
        ("HEAD", "/static/admin/css/base.css"),
        ("GET", "/static/admin/css/base.css"),
        ("GET", "/empty/"),
        ("POST", "/meta/?a=1&b=%20"),
        ("GET", "/caf%C3%A9%20ol%C3%A9/"),
        ("GET", "/nothing/"),
        ("GET", "/stream/"),
        ("GET", "/meta/?the-end"),
    ]:
        both(site, plain, method, url)
    for server in (site, plain):
        server.server.wait("/meta/?the-end")
    assert lines(site.server.log) == lines(plain.server.log)


def test_production_serves_static_files_only_if_told_so(project: Project) -> None:
    from tests.commands.conftest import served

    url = "/static/admin/css/base.css"
    answers = []
    for insecure in ([], ["--insecure"]):
        options = ["--noreload", "--settings", "mysite.production", *insecure]
        with served(project, *options) as ours, served(project, "--noasgi", *options, log="plain.txt") as theirs:
            answers.append(same(ours, theirs, "GET", url).status_code)
            assert same(ours, theirs, "GET", "/nothing/").status_code == 404
            assert same(ours, theirs, "GET", "/boom/").status_code == 500
    assert answers == [404, 200]
