"""What an event says of itself survives its headers, in any script and any time zone."""

from datetime import UTC, datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from libs.common.events.cloudevents import Attributes, decode, encode

AT = datetime(2026, 3, 2, 9, 30, 15, 123456, tzinfo=UTC)
NAMES = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), min_size=1, max_size=60)


@given(identity=NAMES, subject=NAMES, offset=st.integers(-14, 14))
def test_any_text_comes_back(identity: str, subject: str, offset: int) -> None:
    at = AT.astimezone(timezone(timedelta(hours=offset)))
    made = Attributes(id=identity, source="/sluice/auth", type="t", subject=subject, time=at)
    assert decode(encode(made)) == made
