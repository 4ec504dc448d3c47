"""Valid and invalid messages of consumers, for property tests."""

from __future__ import annotations

from hypothesis import strategies as st

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.binary(max_size=5)
oddities = scalars | st.lists(scalars, max_size=3) | st.dictionaries(st.text(max_size=3), scalars, max_size=2)
"""Any message value, mostly in the wrong place."""

names = st.sampled_from([b"x", b"Set-Cookie", b"content-length", b"Content-Length"])
values = st.sampled_from([b"", b"0", b"1", b"3", b"text", b"\xe9"])
good_headers = st.lists(st.tuples(names, values), max_size=3)
bad_names = st.sampled_from([b"", b"a b", b"c:d", b"e\n"]) | scalars
bad_values = st.sampled_from([b"a\r\nb: c", b"\0"]) | scalars
bad_headers = st.lists(
    st.tuples(names | bad_names, values | bad_values) | st.lists(scalars, max_size=3), min_size=1, max_size=3
)
