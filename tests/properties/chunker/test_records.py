"""A record that fits a chunk is never cut, whatever its cells hold."""

import csv
import io

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.chunker.texts import assert_sound, document

CELLS = st.text(st.sampled_from('ab ,;\t"\n|1é'), max_size=12)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(CELLS, min_size=2, max_size=4), min_size=1, max_size=30), st.sampled_from(",\t"))
def test_record_that_fits_is_never_cut(rows: list[list[str]], delimiter: str) -> None:
    written = io.StringIO()
    csv.writer(written, delimiter=delimiter, lineterminator="\n").writerows([["name"] * 6, *rows])
    text, starts = written.getvalue(), {0}
    for row in csv.reader(io.StringIO(text), delimiter=delimiter):
        line = io.StringIO()
        csv.writer(line, delimiter=delimiter, lineterminator="\n").writerow(row)
        starts.add(max(starts) + len(line.getvalue()))
    at = 0
    for c in assert_sound(document(text, "records"), 64):
        assert at in starts
        at += len(c.text)
