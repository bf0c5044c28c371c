"""Connecting in a real browser: a page on its own origin, the popup opened in the click, and who gets to know what."""

import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from playwright.async_api import Browser, BrowserContext, Page, expect

from libs.common.testing.eventually import eventually
from libs.local.ports import free_port
from tests.e2e.conftest import Line
from tests.support.front_end import CONNECT_PAGE, Token, front_end
from tests.support.suites import REPORTS

SUBJECT = "user-1"
SCOPES = ["integrations:read", "integrations:write"]
# A page that opens whatever address it was given, or frames it, and keeps every message it hears.
EAVESDROPPER = """<!doctype html><title>Elsewhere</title><button id="open">Open</button><iframe></iframe><script>
const seen = [], target = () => decodeURIComponent(location.hash.slice(1));
addEventListener("message", (event) => seen.push({ origin: event.origin, data: event.data }));
document.getElementById("open").onclick = () => { window.opened = open(target(), "_blank", "width=500,height=600"); };
</script>"""


@pytest.fixture(scope="module")
def client_token(line: Line) -> Token:
    """What the application's backend does with its API key."""

    def made(workspace: str, origin: str) -> str:
        asked = {"subject": SUBJECT, "origin": origin, "scopes": SCOPES}
        return str(line.door.post(f"/v1/workspaces/{workspace}/client-tokens", asked)["token"])

    return made


@pytest.fixture
def application(line: Line, client_token: Token) -> Iterator[str]:
    """The origin of the application's page, which CORS allows."""
    with front_end(line.page_port, CONNECT_PAGE.replace("API", line.endpoints.gateway), client_token) as origin:
        yield origin


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[str]:
    """The origin of a page that nobody allowed anything."""
    with front_end(free_port(), EAVESDROPPER, lambda workspace, origin: "") as origin:
        yield origin


@pytest.fixture
def workspace(line: Line) -> str:
    name = f"browser-{line.word()}"
    line.door.put(f"/v1/workspaces/{name}")
    return name


@pytest.fixture
async def profile(chromium: Browser) -> AsyncIterator[BrowserContext]:
    context = await chromium.new_context(viewport={"width": 900, "height": 420})
    yield context
    await context.close()


@pytest.fixture
async def page(profile: BrowserContext, application: str, workspace: str) -> Page:
    page = await profile.new_page()
    await page.goto(f"{application}/integrations?workspace={workspace}")
    return page


async def opened(page: Page, button: str = "#popup") -> Page:
    """The popup that the click opens, showing the provider's consent page."""
    async with page.expect_popup() as coming:
        await page.click(button)
    popup = await coming.value
    await popup.wait_for_selector("button[value=authorize]")
    return popup


async def says(page: Page, text: str) -> None:
    await expect(page.locator("#state")).to_have_text(text, timeout=10_000)


async def seen(page: Page) -> list[dict[str, Any]]:
    return list(await page.evaluate("seen"))


def integrations(line: Line, workspace: str) -> list[dict[str, Any]]:
    return list(line.door.get(f"/v1/workspaces/{workspace}/integrations")["items"])


def picture(name: str) -> Path:
    return REPORTS / f"oauth-{name}.png"


async def pictured(popup: Page, name: str) -> None:
    await popup.set_viewport_size({"width": 540, "height": 600})
    await popup.screenshot(path=picture(name))


async def gone(popup: Page) -> None:
    await eventually(popup.is_closed, timeout=30)


async def test_popup_posts_an_opaque_handle_to_its_opener_alone_and_closes(
    line: Line, page: Page, workspace: str
) -> None:
    popup = await opened(page)
    await pictured(popup, "consent")
    await popup.click("button[value=authorize]")
    await says(page, "connected as sandbox-generator")
    await gone(popup)
    await page.screenshot(path=picture("connected"))
    messages = await seen(page)
    assert [message["origin"] for message in messages] == [line.endpoints.gateway]
    assert set(messages[0]["data"]) == {"source", "attemptId", "handle"}
    made = integrations(line, workspace)
    assert [(one["type"], one["status"]) for one in made] == [("github", "active")]
    attempt = await page.evaluate("ask('GET', `/v1/oauth/attempts/${attempt.attemptId}`)")
    assert (attempt["state"], attempt["integration"]["id"]) == ("connected", made[0]["id"])


async def test_page_of_another_origin_that_opens_the_popup_gets_no_message(
    line: Line, profile: BrowserContext, application: str, elsewhere: str, workspace: str
) -> None:
    attempt = began(line, application, workspace)
    stranger = await profile.new_page()
    await stranger.goto(f"{elsewhere}/#{attempt['authorizationUrl']}")
    popup = await opened(stranger, "#open")
    await popup.click("button[value=authorize]")
    await gone(popup)
    assert await seen(stranger) == []
    assert line.door.get(f"/v1/oauth/attempts/{attempt['attemptId']}", {"subject": SUBJECT})["state"] == "pending"
    assert integrations(line, workspace) == []


async def test_page_of_another_origin_that_opened_the_application_hears_nothing_of_its_popup(
    profile: BrowserContext, application: str, elsewhere: str, workspace: str
) -> None:
    stranger = await profile.new_page()
    await stranger.goto(f"{elsewhere}/#{application}/integrations?workspace={workspace}")
    async with stranger.expect_popup() as coming:
        await stranger.click("#open")
    page = await coming.value
    popup = await opened(page)
    await popup.click("button[value=authorize]")
    await says(page, "connected as sandbox-generator")
    assert len(await seen(page)) == 1
    assert await seen(stranger) == []


async def test_page_of_another_origin_cannot_frame_the_flow(
    line: Line, profile: BrowserContext, application: str, elsewhere: str, workspace: str
) -> None:
    attempt = began(line, application, workspace)
    stranger = await profile.new_page()
    await stranger.goto(elsewhere)
    for address in (attempt["authorizationUrl"], f"{line.endpoints.gateway}/v1/oauth/callback/github?code=a&state=b"):
        async with stranger.expect_event("framenavigated"):
            await stranger.evaluate("url => { document.querySelector('iframe').src = url }", address)
        frame = stranger.frames[1]
        assert frame.url.startswith("chrome-error://"), frame.url
    assert await seen(stranger) == []


def began(line: Line, application: str, workspace: str) -> dict[str, Any]:
    asked = {
        "provider": "github", "features": ["repositories"], "callback": "sluice", "subject": SUBJECT,
        "redirectUrl": f"{application}/integrations?workspace={workspace}",
    }  # fmt: skip
    return line.door.post(f"/v1/workspaces/{workspace}/connect", asked)


async def test_denied_consent_ends_the_attempt_as_denied(line: Line, page: Page, workspace: str) -> None:
    popup = await opened(page)
    await popup.click("button[value=cancel]")
    await says(page, "attempt denied (oauth_denied)")
    await gone(popup)
    assert [set(message["data"]) for message in await seen(page)] == [{"source", "attemptId", "error"}]
    assert integrations(line, workspace) == []


async def test_closed_popup_leaves_the_attempt_pending_until_its_time_is_over(
    line: Line, page: Page, workspace: str
) -> None:
    popup = await opened(page)
    await popup.close()
    await says(page, "attempt pending")
    attempt = await page.evaluate("attempt.attemptId")
    await line.sql("UPDATE auth.oauth_attempt SET expires_at = now() WHERE id = $1", attempt)
    await page.evaluate("look()")
    await says(page, "attempt expired (oauth_attempt_expired)")
    assert await seen(page) == []
    assert integrations(line, workspace) == []


async def test_consent_given_too_late_ends_the_attempt_as_expired(line: Line, page: Page, workspace: str) -> None:
    popup = await opened(page)
    await line.sql(
        "UPDATE auth.oauth_attempt SET expires_at = now() WHERE id = $1", await page.evaluate("attempt.attemptId")
    )
    await popup.click("button[value=authorize]")
    await expect(popup.locator("h1")).to_have_text("The consent took too long; start again")
    await pictured(popup, "too-late")
    assert not popup.is_closed()
    await page.evaluate("look()")
    await says(page, "attempt expired (oauth_attempt_expired)")
    assert integrations(line, workspace) == []


async def test_same_tab_comes_back_with_the_handle_behind_the_hash(line: Line, page: Page, workspace: str) -> None:
    await page.click("#tab")
    await page.wait_for_selector("button[value=authorize]")
    await page.click("button[value=authorize]")
    await says(page, "connected as sandbox-generator")
    assert [one["status"] for one in integrations(line, workspace)] == ["active"]


# The page of the quickstart, with what it leaves to the reader.
QUICKSTART = """<!doctype html><title>Quickstart</title><button id="button">Connect</button><p id="state"></p>
<script type="module">
const button = document.getElementById("button");
const show = (told) => { document.getElementById("state").textContent = JSON.stringify(told) };
const token = await (await fetch("/token?workspace=WORKSPACE")).text();
SNIPPET
button.dataset.ready = "yes";
</script>"""


async def test_page_of_the_quickstart_connects_as_it_is_written(
    line: Line, profile: BrowserContext, workspace: str, client_token: Token
) -> None:
    written = (line.root / "docs/quickstart.md").read_text().partition("```js\n")[2].partition("```")[0]
    for theirs, ours in (
        ("http://127.0.0.1:8088", line.endpoints.gateway), ("workspaces/acme", f"workspaces/{workspace}"),
        ("monitorChanges: true, pollingEnabled: true", 'features: ["repositories"], callback: "sluice"'),
    ):  # fmt: skip
        assert theirs in written
        written = written.replace(theirs, ours)
    served = QUICKSTART.replace("WORKSPACE", workspace).replace("SNIPPET", written)
    with front_end(line.page_port, served, client_token) as origin:
        page = await profile.new_page()
        await page.goto(origin)
        await page.wait_for_selector("button[data-ready]")
        popup = await opened(page, "#button")
        await popup.click("button[value=authorize]")
        await expect(page.locator("#state")).to_contain_text('"type":"github"', timeout=10_000)
    assert [one["status"] for one in integrations(line, workspace)] == ["active"]


# A page beside the API, behind the same gateway: it reads and writes with its token and tells the statuses.
BESIDE = """<!doctype html><title>Beside</title><p id="state"></p><script type="module">
const [token, path] = JSON.parse(decodeURIComponent(location.hash.slice(1)));
const headers = {authorization: `Bearer ${token}`, "content-type": "application/json"};
const asked = [fetch(path, {headers}), fetch(path, {headers, method: "POST", body: "{}"})];
document.getElementById("state").textContent = (await Promise.all(asked)).map(answer => answer.status);
</script>"""


async def test_page_on_the_gateway_s_own_origin_reads_and_writes(
    line: Line, profile: BrowserContext, workspace: str, client_token: Token
) -> None:
    """Writes say `Origin`, reads do not; the write is refused for its empty body alone."""
    own, path = line.endpoints.gateway, f"/v1/workspaces/{workspace}/integrations"
    await profile.route(f"{own}/beside", lambda route: route.fulfill(body=BESIDE, content_type="text/html"))
    for origin, statuses in ((own, "200,422"), (f"http://localhost:{line.page_port}", "401,401")):
        page = await profile.new_page()
        told = quote(json.dumps([client_token(workspace, origin), path]))
        await page.goto(f"{own}/beside#{told}")
        await says(page, statuses)
