"""Texts of what is rarely written and must be kept: every test of a property of any text draws from them."""

from hypothesis import strategies as st

# Directional marks, joiners, a byte order mark, decomposed and astral characters, both halves of a surrogate pair,
# line ends of every kind, and what opens or closes a block.
_ODD = (
    "\u202e\u2066\u200b\u200d\ufeff\u0301\u00e9\u2028\x85\x0b\x1e\0\r\n \t😀漢。\ud83d\ude00\udfff"
    "#`~-=|>*_[]()<!{}.'\"1a"
)


odd_texts = st.text(st.one_of(st.sampled_from(_ODD), st.characters()), max_size=400)
