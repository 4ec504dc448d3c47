"""The options of the commands: valid values, and one clear line about invalid ones."""

from __future__ import annotations

from typing import Any

import pytest

from worker.options import BadOption, Options, fields, flag, options_from, variable


def test_nothing_given_is_the_default() -> None:
    assert options_from({}) == Options()
    assert options_from({field.name: None for field in fields()}) == Options()


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("threads", "4", 4),
        ("only_channels", "http.* websocket.*", ["http.*", "websocket.*"]),
        ("stop_timeout", "1.5", 1.5),
        ("max_messages", "1000", 1000),
        ("max_memory", "512M", 512 * 1024**2),
        ("max_memory", "1.5g", 1536 * 1024**2),
        ("max_memory", "65536 KiB", 64 * 1024**2),
        ("consumer_timeout", "30", 30.0),
    ],
)
def test_texts_on_the_command_line_and_in_the_environment(name: str, text: str, value: object) -> None:
    (field,) = (field for field in fields() if field.name == name)
    assert getattr(options_from({name: text}), name) == value
    assert getattr(options_from({}, {variable(field): text}), name) == value
    assert getattr(options_from({name: value}, {variable(field): "nonsense"}), name) == value
    assert options_from({}, {variable(field): ""}) == Options()


@pytest.mark.parametrize("text", ["1", "true", "Yes", "ON"])
def test_a_switch_in_the_environment(text: str) -> None:
    environment = {"CHANNELS_WORKER_CONSUMER_TIMEOUT_RETIRE": text, "CHANNELS_WORKER_CONSUMER_TIMEOUT": "5"}
    assert options_from({}, environment).consumer_timeout_retire


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ({"threads": "many"}, "--threads must be a whole number, not 'many'."),
        ({"threads": "1.5"}, "--threads must be a whole number, not '1.5'."),
        ({"threads": 0}, "--threads must be 1 or more, not 0."),
        ({"processes": "-1"}, "--processes must be 1 or more, not -1."),
        ({"max_messages": "0"}, "--max-messages must be 1 or more, not 0."),
        ({"max_memory": "512"}, "--max-memory must be a size with its unit, as 512M or 2G, not '512'."),
        ({"max_memory": "-1G"}, "--max-memory must be a size with its unit, as 512M or 2G, not '-1G'."),
        ({"max_memory": "1M"}, "--max-memory must be 16M or more, not 1M."),
        ({"consumer_timeout": "0"}, "--consumer-timeout must be 0.01 or more, not 0.0."),
        ({"consumer_timeout": "soon"}, "--consumer-timeout must be a number of seconds, not 'soon'."),
        ({"stop_timeout": "inf"}, "--stop-timeout must be a number of seconds, not 'inf'."),
        ({"stop_timeout": "nan"}, "--stop-timeout must be a number of seconds, not 'nan'."),
        ({"stop_timeout": "-1"}, "--stop-timeout must be 0 or more, not -1.0."),
        ({"consumer_timeout_retire": True}, "--consumer-timeout-retire needs --consumer-timeout SECONDS."),
    ],
)
def test_invalid_options_are_one_line(values: dict[str, Any], line: str) -> None:
    with pytest.raises(BadOption) as caught:
        options_from(values)
    assert str(caught.value) == line


def test_the_line_names_the_variable_that_a_bad_text_came_from() -> None:
    with pytest.raises(BadOption, match="CHANNELS_WORKER_THREADS must be a whole number, not 'x'"):
        options_from({}, {"CHANNELS_WORKER_THREADS": "x"})


def test_which_options_need_a_supervisor() -> None:
    assert not Options(consumer_timeout=5).retires
    assert Options(consumer_timeout=5, consumer_timeout_retire=True).retires
    assert Options(max_messages=5).retires
    assert Options(max_memory=2**30).retires


def test_every_option_has_a_name_of_its_own() -> None:
    names = [flag(field) for field in fields()]
    assert len(set(names)) == len(names) >= 11
