"""The bundled models as fetched: English questions are nearest to what answers them, and no other file passes."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from services.chunker.embedding.bundled import ALONE, BOTH, Bundled, Voice
from services.chunker.embedding.choosing import BUNDLED, DIMENSIONS, FIRST
from services.chunker.embedding.halfvec import numbers
from services.chunker.embedding.protocol import ModelMissing

ANSWERS = {
    "how do I bring the service back after a crash": "Start the daemon again once it has died: systemctl start app.",
    "which fruit is yellow": "Bananas turn from green to a bright yellow while they ripen.",
    "what does a failed payment cost": "A card that is declined is charged a fee of two euros.",
}


@pytest.fixture
async def model(bundled_model: Path) -> AsyncIterator[Bundled]:
    made = Bundled(bundled_model, workers=2)
    yield made
    await made.aclose()


async def test_question_is_nearest_to_its_answer(model: Bundled) -> None:
    passages = numbers(await model.embed_passages(list(ANSWERS.values())))
    questions = numbers([await model.embed_query(question) for question in ANSWERS])
    assert passages.shape == (len(ANSWERS), DIMENSIONS[BUNDLED])
    assert np.allclose(np.linalg.norm(passages, axis=1), 1, atol=1e-2)
    assert (questions @ passages.T).argmax(axis=1).tolist() == list(range(len(ANSWERS)))


async def test_unrelated_questions_are_further_apart_than_their_texts(model: Bundled) -> None:
    texts = numbers(await model.embed_passages(list(ANSWERS)))
    questions = numbers([await model.embed_query(question) for question in ANSWERS])
    apart = ~np.eye(len(ANSWERS), dtype=bool)
    assert ((questions @ questions.T)[apart] < (texts @ texts.T)[apart] - 0.05).all()


async def test_vector_of_a_text_is_the_same_whatever_stands_beside_it(model: Bundled) -> None:
    texts = ["Short.", "A longer text. " * 100, "", "\u00fc\u4e2d \U0001f600", "word " * 3000]
    together = await model.embed_passages(texts)
    assert together == [(await model.embed_passages([text]))[0] for text in texts]


def test_file_that_is_not_the_pinned_one_is_not_loaded(bundled_model: Path, tmp_path: Path) -> None:
    shutil.copytree(bundled_model, tmp_path / "models")
    changed = "all-minilm-l6-v2-q/tokenizer.json"
    with (tmp_path / "models" / changed).open("a") as file:
        file.write("\n")
    with pytest.raises(ModelMissing, match=changed):
        Bundled(tmp_path / "models")


@pytest.mark.parametrize(("voices", "name"), [(BOTH, BUNDLED), (ALONE, FIRST)])
async def test_generation_and_models_have_one_name(bundled_model: Path, voices: tuple[Voice, ...], name: str) -> None:
    made = Bundled(bundled_model, voices)
    assert (made.name, made.dimension) == (name, DIMENSIONS[name])
    await made.aclose()


async def test_cosine_of_both_is_that_of_each_by_its_share(model: Bundled, bundled_model: Path) -> None:
    texts = list(ANSWERS.values())[:2]
    alone = [Bundled(bundled_model, (voice,)) for voice in BOTH]
    each = [_cosine(await one.embed_passages(texts)) for one in alone]
    shares = [voice.share for voice in BOTH]
    assert sum(shares) == 1
    together = sum(share * cosine for share, cosine in zip(shares, each, strict=True))
    assert _cosine(await model.embed_passages(texts)) == pytest.approx(together, abs=0.005)
    for one in alone:
        await one.aclose()


def _cosine(written: list[bytes]) -> float:
    one, other = numbers(written)
    return float(one @ other)
