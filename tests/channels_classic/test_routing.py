"""From a message to its consumer."""

import re
import string
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels_classic.dotted import import_dotted
from channels_classic.handler import ViewConsumer
from channels_classic.layers import InMemoryChannelLayer
from channels_classic.message import Message
from channels_classic.routing import (
    Include,
    Route,
    RouteClass,
    Router,
    connect_consumer,
    include,
    null_consumer,
    route,
    route_class,
)

LAYER = InMemoryChannelLayer()


def message(channel="queue", **content):
    return Message(content, channel, LAYER)


def first(message, **kwargs):
    """A consumer."""


def second(message, **kwargs):
    """Another."""


def third(message, **kwargs):
    """One more."""


class ChatConsumer:
    """A consumer class, as the generic ones are."""

    def __init__(self, message, **kwargs):
        pass

    @classmethod
    def channel_names(cls):
        return {"websocket.connect", "websocket.receive"}

    @classmethod
    def method(cls, message):
        pass


a_list = [route("queue", first)]
a_dict = {"queue": "tests.channels_classic.test_routing.first"}
not_a_routing = 42


def dotted(name):
    return f"{__name__}.{name}"


# Routings: dicts, lists, dotted paths.


@pytest.mark.parametrize(
    "routing", [{"queue": first}, [route("queue", first)], dotted("a_list"), dotted("a_dict")]
)
def test_all_forms_of_a_routing(routing):
    router = Router(routing)
    assert router.channels == {"queue"}
    assert router.match(message()).__class__ is tuple
    consumer, kwargs = router.match(message())
    assert (consumer.__name__, kwargs) == ("first", {})
    assert router.match(message("other")) is None


def test_the_names_people_write_are_the_classes():
    assert (route, route_class, include) == (Route, RouteClass, Include)


def test_a_consumer_may_be_a_dotted_path():
    router = Router({"queue": dotted("first"), "method": dotted("ChatConsumer.method")})
    assert router.match(message())[0].__qualname__ == "first"
    assert router.match(message("method"))[0].__qualname__ == "ChatConsumer.method"


def test_a_route_may_have_several_channels():
    router = Router([route(["one", "two"], first), route("three", second)])
    assert router.channels == {"one", "two", "three"}
    assert router.match(message("one"))[0] is router.match(message("two"))[0] is first
    assert router.match(message("three"))[0] is second


@pytest.mark.parametrize("consumer", [ChatConsumer, dotted("ChatConsumer")])
def test_a_consumer_class_names_its_channels(consumer):
    router = Router([route_class(consumer, path=r"^/chat/")])
    assert router.channels == {"websocket.connect", "websocket.receive"}
    found, kwargs = router.match(message("websocket.receive", path="/chat/"))
    assert (found.__name__, kwargs) == ("ChatConsumer", {})
    assert router.match(message("websocket.receive", path="/other/")) is None
    assert router.match(message("websocket.disconnect", path="/chat/")) is None


def test_the_first_match_wins():
    router = Router(
        [
            route("queue", first, path=r"^/a/"),
            route("queue", second, path=r"^/"),
            route("queue", third),
        ]
    )
    assert router.match(message(path="/a/b"))[0] is first
    assert router.match(message(path="/b"))[0] is second
    assert router.match(message(path="b"))[0] is third
    assert router.match(message())[0] is third


def test_routes_can_be_added():
    router = Router([route("queue", first, path=r"^/a")])
    router.add_route(route(["queue", "other"], second))
    assert router.channels == {"queue", "other"}
    assert router.match(message(path="/a"))[0] is first
    assert router.match(message(path="/b"))[0] is second
    router.add_route(include([route("third", third)], path="^/"))
    assert router.match(message("third", path="/"))[0] is third
    router.add_route(route("queue", third), first=True)
    assert router.match(message(path="/a"))[0] is third


# Filters.


def test_named_groups_become_keyword_arguments():
    router = Router([route("queue", first, path=r"^/(?P<room>\w+)/(?P<page>\d+)?", method=r"(?P<verb>GET|POST)$")])
    assert router.match(message(path="/lobby/7", method="GET")) == (
        first,
        {"room": "lobby", "page": "7", "verb": "GET"},
    )
    assert router.match(message(path="/lobby/", method="POST")) == (
        first,
        {"room": "lobby", "page": None, "verb": "POST"},
    )
    assert router.match(message(path="/lobby/7", method="PUT")) is None


def test_all_filters_have_to_match():
    router = Router([route("queue", first, path=r"^/a", method=r"^GET$")])
    assert router.match(message(path="/a", method="GET")) is not None
    for content in (
        {"path": "/a"},
        {"method": "GET"},
        {"path": "/a", "method": "PUT"},
        {"path": "/b", "method": "GET"},
    ):
        assert router.match(message(**content)) is None


def test_a_filter_matches_from_the_start_and_not_to_the_end():
    router = Router([route("queue", first, path=r"/a")])
    assert router.match(message(path="/abc")) is not None
    assert router.match(message(path="/b/a")) is None


def test_a_filter_may_be_compiled():
    router = Router([route("queue", first, path=re.compile(r"^/CHAT/(?P<room>.)", re.IGNORECASE))])
    assert router.match(message(path="/chat/x")) == (first, {"room": "x"})


def test_bytes_are_decoded_as_ascii():
    router = Router([route("queue", first, query_string=r"^page=(?P<page>\d+)$")])
    assert router.match(message(query_string=b"page=7")) == (first, {"page": "7"})
    assert router.match(message(query_string=b"page=x")) is None
    assert router.match(message(query_string="page=\u00fc".encode())) is None


@pytest.mark.parametrize(
    ("value", "pattern"), [(7, r"^7$"), (True, r"^True$"), (1.5, r"^1\.5$"), (None, r"^None$")]
)
def test_other_values_are_matched_by_their_text(value, pattern):
    assert Router([route("queue", first, key=pattern)]).match(message(key=value)) == (first, {})


# Include.


def test_include_strips_what_its_prefix_matched():
    rooms = [route("queue", first, path=r"^/(?P<room>\w+)/$"), route("queue", second, path=r"^$")]
    router = Router([include(rooms, path=r"^/chat"), route("queue", third)])
    assert router.match(message(path="/chat/lobby/")) == (first, {"room": "lobby"})
    assert router.match(message(path="/chat")) == (second, {})
    assert router.match(message(path="/lobby/")) == (third, {})
    assert router.match(message(path="/chat/lobby/x")) == (third, {})
    assert router.match(message()) == (third, {})


def test_includes_nest_and_collect_keyword_arguments():
    pages = [route("queue", first, path=r"^(?P<page>\d+)$", method=r"^T$")]
    rooms = [include(pages, path=r"^(?P<room>\w+)/", method=r"^(?P<verb>GE)")]
    router = Router([include(rooms, path=r"^/(?P<site>\w+)/")])
    assert router.match(message(path="/chat/lobby/7", method="GET")) == (
        first,
        {"site": "chat", "room": "lobby", "verb": "GE", "page": "7"},
    )


def test_the_inner_keyword_argument_wins():
    router = Router([include([route("queue", first, path=r"^(?P<name>.)")], path=r"^(?P<name>.)")])
    assert router.match(message(path="ab")) == (first, {"name": "b"})


@pytest.mark.parametrize(
    "routing", [{"queue": first}, [route("queue", first)], dotted("a_list"), dotted("a_dict")]
)
def test_any_form_of_a_routing_can_be_included(routing):
    router = Router([include(routing, path=r"^/sub")])
    assert router.channels == {"queue"}
    assert router.match(message(path="/sub"))[0].__name__ == "first"
    assert router.match(message(path="/other")) is None


def test_include_without_prefix():
    router = Router([include([route("queue", first, path=r"^/a")])])
    assert router.match(message(path="/a")) == (first, {})


def test_the_message_is_left_as_it_was():
    original = message(path="/chat/lobby", query_string=b"a=b")
    router = Router([include([route("queue", first, path="^/lobby")], path="^/chat", query_string="^a=")])
    assert router.match(original) == (first, {})
    assert original.content == {"path": "/chat/lobby", "query_string": b"a=b"}


def test_bytes_can_be_a_prefix():
    router = Router([include([route("queue", first, query_string=r"^=(?P<page>\d)$")], query_string="^page")])
    assert router.match(message(query_string=b"page=7")) == (first, {"page": "7"})


# What nobody routed.


def test_the_defaults_come_last():
    router = Router([route("websocket.connect", first, path="^/mine"), route("websocket.receive", second)])
    router.check_default()
    assert router.channels == {"http.request", "websocket.connect", "websocket.receive", "websocket.disconnect"}
    assert isinstance(router.match(message("http.request"))[0], ViewConsumer)
    assert router.match(message("websocket.connect", path="/mine"))[0] is first
    assert router.match(message("websocket.receive"))[0] is second

    accept, kwargs = router.match(message("websocket.connect", path="/other"))
    accept(message("websocket.connect", path="/other", reply_channel="sends.one!a"), **kwargs)
    assert LAYER.receive(["sends.one!"]) == ("sends.one!a", {"accept": True})

    ignore, kwargs = router.match(message("websocket.disconnect"))
    ignore(message("websocket.disconnect", reply_channel="sends.one!a"), **kwargs)
    assert LAYER.receive(["sends.one!"]) == (None, None)


def test_the_default_for_requests_can_be_another():
    router = Router({})
    router.check_default(http_consumer=first)
    assert router.match(message("http.request"))[0] is first


def test_routes_of_the_project_come_first():
    router = Router({"http.request": first})
    router.check_default()
    assert router.match(message("http.request"))[0] is first


# Errors: each names the value.


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("nowhere.consumers.connect", "No module named 'nowhere'"),
        (dotted("no_such_consumer"), "no_such_consumer"),
        (dotted("ChatConsumer.no_such_method"), "no_such_method"),
        ("tests.channels_classic.no_such_module.connect", "no_such_module"),
        ("consumers", "a module and a name in it"),
        ("", "a module and a name in it"),
        (".consumers", "a module and a name in it"),
        ("..consumers.connect", "a module and a name in it"),
        ("tests.", "a module and a name in it"),
    ],
)
def test_a_path_that_leads_nowhere_is_named(path, reason):
    for build in (lambda: route("queue", path), lambda: Router({"queue": path}), lambda: route_class(path)):
        with pytest.raises(ImportError) as caught:
            build()
        assert f"the consumer {path!r}" in str(caught.value)
        assert reason in str(caught.value)
    for build in (lambda: Router(path), lambda: include(path)):
        with pytest.raises(ImportError) as caught:
            build()
        assert f"the routing {path!r}" in str(caught.value)


@given(st.text(st.sampled_from("ab..._-\u00e9")))
def test_any_text_that_is_not_a_path_is_named(path):
    with pytest.raises(ImportError) as caught:
        import_dotted(path, "the consumer", "mysite.consumers.echo")
    assert f"the consumer {path!r}" in str(caught.value)


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A package to write modules into."""
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "a_project").mkdir()
    (tmp_path / "a_project" / "__init__.py").touch()
    yield tmp_path / "a_project"
    for name in [name for name in sys.modules if name.split(".")[0] == "a_project"]:
        del sys.modules[name]


@pytest.mark.parametrize("missing", ["no_such_library", "no_such_library.part", "consumers_of"])
def test_a_failed_import_inside_a_module_is_named(project, missing):
    (project / "consumers_of.py").write_text(f"import {missing}\n\ndef connect(message): pass\n")
    with pytest.raises(ImportError) as caught:
        route("queue", "a_project.consumers_of.connect")
    assert "'a_project.consumers_of.connect'" in str(caught.value)
    assert f"No module named '{missing.partition('.')[0]}'" in str(caught.value)


def test_other_errors_of_a_module_are_left_alone(project):
    (project / "consumers.py").write_text("1 / 0\n")
    with pytest.raises(ZeroDivisionError):
        route("queue", "a_project.consumers.connect")


@pytest.mark.parametrize("consumer", [42, None, {"not": "callable"}, dotted("not_a_routing")])
def test_a_consumer_that_is_not_callable_is_named(consumer):
    value = repr(42) if isinstance(consumer, str) else repr(consumer)
    with pytest.raises(ValueError, match="callable") as caught:
        route("queue", consumer)
    assert value in str(caught.value)
    with pytest.raises(ValueError, match="callable") as caught:
        Router({"queue": consumer})
    assert value in str(caught.value)
    assert "'queue'" in str(caught.value)


@pytest.mark.parametrize("routing", [42, None, {1, 2}, dotted("not_a_routing")])
def test_an_invalid_routing_is_named(routing):
    for build in (Router, include):
        with pytest.raises(ValueError, match="A routing must be") as caught:
            build(routing)
        assert repr(42 if isinstance(routing, str) else routing) in str(caught.value)


@pytest.mark.parametrize("entry", [first, "queue", ("queue", first), None])
def test_an_entry_that_is_not_a_route_is_named(entry):
    with pytest.raises(ValueError, match=r"holds route\(\), route_class\(\) and include\(\)") as caught:
        Router([route("queue", first), entry])
    assert repr(entry) in str(caught.value)


def test_route_class_takes_classes_that_name_their_channels():
    with pytest.raises(ValueError, match="channel_names") as caught:
        route_class(first)
    assert repr(first) in str(caught.value)


@pytest.mark.parametrize("pattern", ["(", "*", 7, None, rb"^/bytes", re.compile(rb"^/bytes")])
def test_a_filter_that_is_not_a_pattern_is_named(pattern):
    for build in (lambda: route("queue", first, path=pattern), lambda: include([], path=pattern)):
        with pytest.raises(ValueError) as caught:
            build()
        assert f"path={pattern!r}" in str(caught.value)


@pytest.mark.parametrize("pattern", [r"^/chat/([^/]+)/$", "^/(?P<room>[a-z]+)/([0-9])?", re.compile("(a)")])
def test_a_group_without_a_name_is_named(pattern):
    with pytest.raises(ValueError, match="a group without a name") as caught:
        route("queue", first, path=pattern)
    assert re.compile(pattern).pattern in str(caught.value)
    assert include([route("queue", first)], path=pattern).prefixes, "an include hands nothing to a consumer"


def test_a_group_that_captures_nothing_needs_no_name():
    assert route("queue", first, path="^/(?:a|b)/(?i:c)(?=d)").filters


@pytest.mark.parametrize("channel", ["two words", "", "sends!local", "body?", None, 7])
def test_a_channel_that_nobody_can_receive_on_is_named(channel):
    for build in (
        lambda: route(channel, first),
        lambda: route(["queue", channel], first),
        lambda: Router({channel: first}),
    ):
        with pytest.raises(ValueError) as caught:
            build()
        assert repr(channel) in str(caught.value)


def test_the_text_of_a_route_says_where_it_leads():
    assert repr(route(["two", "one"], first)) == "<Route one, two -> first>"
    assert repr(route_class(ChatConsumer)) == "<RouteClass websocket.connect, websocket.receive -> ChatConsumer>"
    assert repr(include([route("one", first)])) == "<Include [<Route one -> first>]>"


# Any routing behaves like the rules, restated.

words = st.text(string.ascii_lowercase, min_size=1, max_size=3)
paths = st.lists(words, max_size=4).map(lambda parts: "".join(f"/{part}" for part in parts))


@given(st.lists(st.tuples(st.sampled_from("abc"), paths), max_size=8), st.sampled_from("abc"), paths)
def test_the_first_route_whose_filter_begins_the_path_has_it(routes, channel, path):
    consumers = [lambda message: None for _ in routes]
    router = Router(
        [
            route(name, consumer, path="^" + re.escape(start))
            for (name, start), consumer in zip(routes, consumers, strict=True)
        ]
    )
    assert router.channels == {name for name, _ in routes}
    expected = [
        consumer
        for (name, start), consumer in zip(routes, consumers, strict=True)
        if name == channel and path.startswith(start)
    ]
    for value in (path, path.encode("ascii")):
        found = router.match(message(channel, path=value))
        assert found == ((expected[0], {}) if expected else None)


@given(st.lists(paths, max_size=4), paths, paths)
def test_nested_prefixes_are_like_one(prefixes, last, path):
    nested = [route("queue", first, path="^" + re.escape(last) + "$")]
    for prefix in reversed(prefixes):
        nested = [include(nested, path="^" + re.escape(prefix))]
    whole = "".join(prefixes) + last
    router = Router(nested)
    assert (router.match(message(path=path)) is not None) == (path == whole)
    assert router.match(message(path=whole)) == (first, {})


@given(st.dictionaries(words, st.text(string.ascii_letters, max_size=5), max_size=4))
def test_each_key_has_its_filter_and_its_keyword_argument(content):
    filters = {key: f"^(?P<{key}_value>{value})$" for key, value in content.items()}
    router = Router([Route("queue", first, **filters)])
    assert router.match(message(**content)) == (first, {f"{key}_value": value for key, value in content.items()})
    for key in content:
        changed = {**content, key: content[key] + "!"}
        assert router.match(message(**changed)) is None
        without = {other: value for other, value in content.items() if other != key}
        assert router.match(message(**without)) is None


# What can be looked at.


def test_filters_and_prefixes_are_compiled():
    assert route("queue", first, path=r"^/a", method="GET").filters == {
        "path": re.compile(r"^/a"),
        "method": re.compile("GET"),
    }
    assert include([], path=r"^/b").prefixes == {"path": re.compile(r"^/b")}
    assert route("queue", first).filters == include([]).prefixes == {}


def test_the_root_has_all_routes_in_their_order():
    router = Router([route("a", first), include([route("b", second)])])
    router.add_route(route("c", third))
    router.add_route(route("d", third), first=True)
    assert [sorted(each.channel_names()) for each in router.root.routing] == [["d"], ["a"], ["b"], ["c"]]
    assert router.root.channel_names() == router.channels
    router.check_default()
    assert router.root.routing[-2].consumer is connect_consumer
    assert router.root.routing[-1].consumer is null_consumer
