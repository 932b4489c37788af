"""The state of the node, as it travels."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
from hypothesis import given
from hypothesis import strategies as st

from ferstream.events.gaps import GapFinder
from ferstream.events.node import NodePayload, encode_node, node_schema
from tests.support.builders import node_state


@given(fps=st.floats(0, 1e6), texts=st.tuples(st.text(), st.text()), overloaded=st.booleans())
def test_every_state_is_what_the_model_and_the_schema_say(fps: float, texts: tuple[str, str], overloaded: bool) -> None:
    state = node_state(fps=fps, model=texts[0], outbox_problem=texts[1], overloaded=overloaded)
    payload = encode_node(state)
    parsed = NodePayload.model_validate_json(payload)
    assert (parsed.model, parsed.outbox_problem, parsed.overloaded) == (*texts, overloaded)
    jsonschema.Draft202012Validator(node_schema()).validate(json.loads(payload))


def test_the_schema_in_docs_is_current(root_dir: Path) -> None:
    written = json.loads((root_dir / "docs/schema/node-1.json").read_text())
    assert written == node_schema(), "run: ferstream schema --directory docs/schema"


def test_the_state_of_the_node_is_no_event_that_can_be_missed() -> None:
    finder = GapFinder()
    finder.add(json.loads(encode_node(node_state())))
    assert (finder.strange, dict(finder.streams)) == (0, {})
