"""The demo on its own data: it goes through again, and it fails as soon as one expected document is missing."""

import json

from tests.e2e.conftest import Line


async def test_demo_passes_again_and_fails_without_an_expected_document(hooked: Line) -> None:
    word = hooked.word()
    number = hooked.control.change("open_issue", title=f"Expected {word}", body="The demo asks for this.")["number"]
    await hooked.found(word)
    expected = hooked.root / "tests/e2e/demo_expected.json"
    kept = expected.read_text()
    question = {"query": f"expected {word}", "type": "issue", "name": f"Expected {word}"}
    expected.write_text(json.dumps([*json.loads(kept), question]))
    try:
        whole = hooked.sluice("demo", DEMO_EXIT="1")
        assert whole.returncode == 0, whole.stdout + whole.stderr
        for figure in (
            "oauth_popup_token_requests value=1 ", "oauth_own_page_token_requests value=1 ", "change_to_search",
            "resync_events value=0", "resync_chunked value=0", "resync_304",
        ):  # fmt: skip
            assert f"figure {figure}" in whole.stdout
        hooked.control.change("delete_issue", number=number)
        await hooked.gone(word)
        broken = hooked.sluice("demo", DEMO_EXIT="1")
    finally:
        expected.write_text(kept)
    assert broken.returncode == 1
    assert f"does not find the issue Expected {word}" in " ".join(broken.stdout.split())
    page = hooked.raw("GET", "/").text
    assert f"Expected {word}" in page
    assert "/openapi/sync" in page
    assert hooked.key not in page
