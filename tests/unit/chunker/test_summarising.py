"""Extractive summaries say what a text is about in its own sentences, the same ones every time."""

from services.chunker.summarising import summarise
from tests.unit.chunker.texts import paragraphs

TEXT = """# Leases

A lease gives one worker the right to pull a resource until it expires.
The [worker](http://x/y) that holds the **lease** says its epoch with every write.

```python
lease = "this code is never part of a summary, whatever it says"
```

| a | table |
|---|---|
| is | not prose either |

When the lease expires, another worker takes the resource at the page where the first one stopped.
Bananas are yellow and have nothing to do with the rest of this.

<div>neither is HTML a sentence of this text</div>

- Every lease is a row, and its time is the time of the database.
"""


def test_summary_holds_sentences_of_the_text_in_its_order() -> None:
    summary = summarise(TEXT, sentences=3)
    assert summary.startswith("A lease gives one worker")
    assert "Bananas" not in summary
    assert summary.count(". ") == 2


def test_markup_code_tables_and_html_are_left_out() -> None:
    summary = summarise(TEXT, sentences=9)
    assert "The worker that holds the lease says" in summary
    assert "Every lease is a row" in summary
    assert not [word for word in ("http", "**", "never part", "not prose", "HTML", "#", "- ") if word in summary]


def test_repeated_sentence_is_said_once() -> None:
    assert summarise("The same sentence stands here again. " * 9) == "The same sentence stands here again."


def test_sentences_unlike_each_other_are_preferred() -> None:
    text = (
        "The relay publishes outbox rows in order of their ids. "
        "The relay publishes outbox rows strictly in order of their ids. "
        "Search ranks rows of chunks by words and vectors. "
        "Workers claim rows by lease and publish their results. "
    )
    summary = summarise(text, sentences=2)
    assert ("strictly" in summary) + ("rows in order" in summary) == 1


def test_text_without_prose_gives_its_beginning() -> None:
    assert summarise("```\nx = 1\n```\n") == "``` x = 1 ```"
    assert summarise("") == ""


def test_text_in_chinese_is_summarised_by_its_sentences() -> None:
    assert summarise(
        "租约让一个工作者拉取资源直到过期。租约过期以后另一个工作者接手继续。香蕉是黄色的水果没有关系。", 1
    ).endswith("。")


def test_summary_of_a_known_text_is_the_same_in_every_process() -> None:
    assert summarise(TEXT, sentences=2) == (
        "A lease gives one worker the right to pull a resource until it expires. "
        "The worker that holds the lease says its epoch with every write."
    )


def test_long_text_is_summarised_from_its_late_parts_too() -> None:
    assert len(summarise(paragraphs(2_000))) > 100
