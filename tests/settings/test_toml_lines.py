"""The line of a key, also in files that tomllib alone understands."""

from __future__ import annotations

import tomllib

from hypothesis import given
from hypothesis import strategies as st

from ferstream.settings.raw_values import paths
from ferstream.settings.toml_lines import find_lines

FILE = """\
# node = "not this"
node = "a" # nor = "this"

[[cameras]]
name = "one"
masks = [
  [[0, 0],   # key = "in a list"
   [1, 0], [1, 1]],
]
"quoted" = 1
[[cameras]]
name = '''
name = "in a long string"
'''
source = "x = ["
  [ mqtt ]
  url   =   "mqtt://h"
outbox.path = "dotted"
log = { level = "info",
  format = "json" }
"""


def test_the_line_of_each_key_is_found() -> None:
    lines = find_lines(FILE).lines
    assert {path: lines[path] for path in lines if path != ("cameras",)} == {
        ("node",): 2,
        ("cameras", 0): 4,
        ("cameras", 0, "name"): 5,
        ("cameras", 0, "masks"): 6,
        ("cameras", 0, "quoted"): 10,
        ("cameras", 1): 11,
        ("cameras", 1, "name"): 12,
        ("cameras", 1, "source"): 15,
        ("mqtt",): 16,
        ("mqtt", "url"): 17,
        ("mqtt", "outbox", "path"): 18,
        ("mqtt", "log"): 19,
    }


def test_a_path_without_a_line_has_that_of_the_table_around_it() -> None:
    lines = find_lines(FILE)
    assert lines.of(("mqtt", "log", "level")) == 19
    assert lines.of(("cameras", 1, "nothing")) == 11
    assert lines.of(("nothing",)) == 0


def test_repeated_keys_are_told_with_both_lines() -> None:
    assert find_lines("a = 1\n[b]\nc = 1\nc = 2\n[b]\n[[d]]\n[[d]]\n").repeated == [(("b", "c"), 3, 4), (("b",), 2, 5)]


def test_a_file_without_end_is_no_problem() -> None:
    assert find_lines('a = [\n"""\n').lines == {("a",): 1}


names = st.text("abc-_1", min_size=1, max_size=4)
values = st.sampled_from(["1", "true", '"x # = ["', "'['", "[1,\n 2]", '"""\nq = 1\n"""', "{ z = 1 }", "[{y = [1]},\n{}]", '"\\\\"'])


@given(st.dictionaries(names, st.dictionaries(names, values, max_size=4), max_size=4))
def test_every_key_that_tomllib_reads_has_its_line(tables: dict[str, dict[str, str]]) -> None:
    text = "".join(f"[{table}]\n" + "".join(f"{key} = {value}\n" for key, value in keys.items()) for table, keys in tables.items())
    found = find_lines(text)
    for path in paths(tomllib.loads(text)):
        if len(path) <= 2:
            line = text.split("\n")[found.of(path) - 1]
            assert line.startswith(f"[{path[0]}]" if len(path) == 1 else f"{path[1]} = ")
    assert not found.repeated


@given(st.text("a=[]{}\"'#\\\n. 1", max_size=60))
def test_no_text_breaks_it(text: str) -> None:
    find_lines(text)
