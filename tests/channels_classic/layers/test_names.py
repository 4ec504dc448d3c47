"""The rules for names, restated in other words than the code's."""

import os
import re
import string
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from channels_classic.layers import names

LETTERS = set(string.ascii_letters + string.digits + "-_.")

# Mostly right, so that right names come up at all.
almost_names = st.text(alphabet=st.sampled_from("abzAZ09-_.?!/ \n\u00e9"), max_size=103) | st.text(max_size=5)
parts = st.text(alphabet=sorted(LETTERS), min_size=1, max_size=40)


def follows_the_rule(name, *, empty_local_part):
    if len(name) >= 100 or name.count("?") + name.count("!") > 1:
        return False
    front, mark, behind = name.partition("!") if "!" in name else name.partition("?")
    if not front or not LETTERS.issuperset(front + behind):
        return False
    return bool(behind) or mark == "" or (mark == "!" and empty_local_part)


def refuses(check, name):
    """Whether ``check`` refuses ``name``, in the way that was promised."""
    try:
        check(name)
    except TypeError as error:
        text = str(error)
    else:
        return False
    assert repr(name) in text or name in text
    return True


@given(almost_names)
@example("a" * 99)
@example("a" * 100)
@example("a\n")
@example("a?")
@example("a!")
@example("!a")
def test_channels(name):
    assert refuses(names.check_channel, name) != follows_the_rule(name, empty_local_part=True)


@given(almost_names)
@example("a!")
@example("a!b")
@example("a?")
@example("a?b")
@example("a" * 99 + "!")
def test_channels_to_receive_from(name):
    good = follows_the_rule(name, empty_local_part=True) and ("!" not in name or name.endswith("!"))
    assert refuses(names.check_receivable, name) != good


@given(almost_names)
@example("a" * 99)
@example("a" * 100)
@example("a\n")
def test_groups(name):
    good = 0 < len(name) < 100 and LETTERS.issuperset(name)
    assert refuses(names.check_group, name) != good


@pytest.mark.parametrize("check", [names.check_channel, names.check_receivable, names.check_group])
@pytest.mark.parametrize("name", [None, 1, b"name", ["name"], ("name",), object])
def test_a_name_is_a_str(check, name):
    assert refuses(check, name)


@pytest.mark.parametrize(
    ("check", "name", "rule"),
    [
        (names.check_channel, "two words", "ASCII letters, digits, '-', '_' and '.', fewer than 100"),
        (names.check_channel, "a!b!c", "at most one '?'"),
        (names.check_receivable, "sends!local", "up to and including the '!'"),
        (names.check_group, "a!b", "no '?' or '!'"),
        (names.new_channel_name, "a", "ends in '?' or '!'"),
    ],
)
def test_the_rule_is_stated(check, name, rule):
    with pytest.raises(TypeError, match=re.escape(rule)):
        check(name)


@given(parts, st.sampled_from("?!"))
def test_new_channels(front, mark):
    pattern = front + mark
    name = names.new_channel_name(pattern)
    names.check_channel(name)
    assert name.startswith(pattern)
    assert len(name) > len(pattern)
    assert names.new_channel_name(pattern) != name


@given(almost_names)
@example("a?b")
@example("a?!")
@example("a" * 98 + "?")
def test_patterns_of_new_channels(pattern):
    front, mark = pattern[:-1], pattern[-1:]
    good = mark in ("?", "!") and 0 < len(front) <= 82 and LETTERS.issuperset(front)
    assert refuses(names.new_channel_name, pattern) != good


@given(parts, parts)
def test_the_queue_and_the_statistics_of_a_channel(front, behind):
    assert names.queue_name(front) == names.kind_name(front) == front
    assert names.queue_name(f"{front}?{behind}") == f"{front}?{behind}"
    assert names.kind_name(f"{front}?{behind}") == f"{front}?"
    assert names.queue_name(f"{front}!{behind}") == names.kind_name(f"{front}!{behind}") == f"{front}!"
    assert names.queue_name(f"{front}!") == f"{front}!"


def random_parts(number):
    return [names.random_part() for _ in range(number)]


def test_random_parts_are_different_in_all_threads():
    with ThreadPoolExecutor(4) as pool:
        found = [part for some in pool.map(random_parts, [500] * 8) for part in some]
    assert len(set(found)) == len(found)
    assert all(re.fullmatch("[0-9a-f]{16}", part) for part in found)


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")  # the child does not use other threads
def test_a_forked_process_has_random_parts_of_its_own():
    names.random_part()  # so that parts are left over, which the child must not use
    read, write = os.pipe()
    if (child := os.fork()) == 0:
        os.write(write, "".join(random_parts(100)).encode())
        os._exit(0)
    os.waitpid(child, 0)
    digits = os.read(read, 1600).decode()
    os.close(read)
    os.close(write)
    of_child = {digits[start : start + 16] for start in range(0, 1600, 16)}
    assert len(of_child) == 100
    assert of_child.isdisjoint(random_parts(100))
