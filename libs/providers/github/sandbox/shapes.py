"""The JSON that GitHub says, in the shape of the recorded payloads; tests hold the keys against the fixtures."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import msgspec
import pygit2

from libs.providers.github.sandbox.gitstore import EMAIL, NAME, FileChange
from libs.providers.github.sandbox.records import Comment, Hook, Issue, Pull, Repo, Review, ReviewComment

# Stands for scheme, host and mount in everything that is prepared; the answer puts the real one in.
ORIGIN = "https://origin.invalid"
API = f"{ORIGIN}/api"
GENERATOR = "sandbox-generator"
GENERATOR_ID = 9_000_001

USER_URLS = {
    "followers_url": "/followers", "following_url": "/following{/other_user}", "gists_url": "/gists{/gist_id}",
    "starred_url": "/starred{/owner}{/repo}", "subscriptions_url": "/subscriptions", "organizations_url": "/orgs",
    "repos_url": "/repos", "events_url": "/events{/privacy}", "received_events_url": "/received_events",
}  # fmt: skip
REPO_URLS = {
    "archive_url": "/{archive_format}{/ref}", "assignees_url": "/assignees{/user}", "blobs_url": "/git/blobs{/sha}",
    "branches_url": "/branches{/branch}", "collaborators_url": "/collaborators{/collaborator}",
    "comments_url": "/comments{/number}", "commits_url": "/commits{/sha}", "compare_url": "/compare/{base}...{head}",
    "contents_url": "/contents/{+path}", "contributors_url": "/contributors", "deployments_url": "/deployments",
    "downloads_url": "/downloads", "events_url": "/events", "forks_url": "/forks",
    "git_commits_url": "/git/commits{/sha}", "git_refs_url": "/git/refs{/sha}", "git_tags_url": "/git/tags{/sha}",
    "hooks_url": "/hooks", "issue_comment_url": "/issues/comments{/number}",
    "issue_events_url": "/issues/events{/number}", "issues_url": "/issues{/number}", "keys_url": "/keys{/key_id}",
    "labels_url": "/labels{/name}", "languages_url": "/languages", "merges_url": "/merges",
    "milestones_url": "/milestones{/number}", "notifications_url": "/notifications{?since,all,participating}",
    "pulls_url": "/pulls{/number}", "releases_url": "/releases{/id}", "stargazers_url": "/stargazers",
    "statuses_url": "/statuses/{sha}", "subscribers_url": "/subscribers", "subscription_url": "/subscription",
    "tags_url": "/tags", "teams_url": "/teams", "trees_url": "/git/trees{/sha}",
}  # fmt: skip
REACTIONS = {k: 0 for k in ("+1", "-1", "laugh", "hooray", "confused", "heart", "rocket", "eyes")}


def iso(moment: int | None) -> str | None:
    return None if moment is None else datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def node(kind: str, identity: int | str) -> str:
    return base64.b64encode(f"{kind}{identity}".encode()).decode()


@lru_cache(maxsize=256)
def user(login: str) -> msgspec.Raw:
    """One account; the generator's id never changes, other owners are organisations with an id made of the name."""
    url = f"{API}/users/{login}"
    own = login == GENERATOR
    identity = account_id(login)
    return raw(
        {
            "login": login, "id": identity, "node_id": node("User", identity), "gravatar_id": "",
            "avatar_url": f"{ORIGIN}/avatars/{identity}", "url": url, "html_url": f"{ORIGIN}/{login}",
            **{name: url + suffix for name, suffix in USER_URLS.items()},
            "type": "User" if own else "Organization", "user_view_type": "public", "site_admin": False,
        }
    )  # fmt: skip


def account_id(login: str) -> int:
    return GENERATOR_ID if login == GENERATOR else 8_000_000 + sum(i * ord(c) for i, c in enumerate(login, 1)) % 900_000


def raw(value: object) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(value))


def repo_api(repo: Repo) -> str:
    return f"{API}/repos/{repo.full_name}"


def repo_web(repo: Repo) -> str:
    return f"{ORIGIN}/{repo.full_name}"


def repository(repo: Repo, *, open_issues: int = 0, size: int = 0) -> dict[str, Any]:
    url, web = repo_api(repo), repo_web(repo)
    return {
        "id": repo.id, "node_id": node("Repository", repo.id), "name": repo.name, "full_name": repo.full_name,
        "private": repo.private, "owner": user(repo.owner), "html_url": web, "description": repo.description,
        "fork": False, "url": url, **{name: url + suffix for name, suffix in REPO_URLS.items()},
        "created_at": iso(repo.created_at), "updated_at": iso(repo.updated_at), "pushed_at": iso(repo.pushed_at),
        "git_url": f"{web}.git", "ssh_url": f"{web}.git", "clone_url": f"{web}.git", "svn_url": web,
        "homepage": None, "mirror_url": None, "language": None, "license": None, "size": size,
        "stargazers_count": 0, "watchers_count": 0, "forks_count": 0, "forks": 0, "watchers": 0,
        "open_issues_count": open_issues, "open_issues": open_issues, "archived": repo.archived, "disabled": False,
        "has_issues": repo.has_issues, "has_projects": False, "has_downloads": True, "has_wiki": False,
        "has_pages": False, "has_discussions": False, "allow_forking": True, "is_template": False, "topics": [],
        "web_commit_signoff_required": False, "visibility": "private" if repo.private else "public",
        "default_branch": repo.default_branch,
        "permissions": {"admin": True, "maintain": True, "push": True, "triage": True, "pull": True},
    }  # fmt: skip


def label(repo: Repo, name: str) -> dict[str, Any]:
    identity = 600_000 + sum(name.encode())
    return {
        "id": identity, "node_id": node("Label", identity), "url": f"{repo_api(repo)}/labels/{name}",
        "name": name, "color": "ededed", "default": False, "description": None,
    }  # fmt: skip


def issue(repo: Repo, it: Issue) -> dict[str, Any]:
    url = f"{repo_api(repo)}/issues/{it.number}"
    shape: dict[str, Any] = {
        "url": url, "repository_url": repo_api(repo), "labels_url": f"{url}/labels{{/name}}",
        "comments_url": f"{url}/comments", "events_url": f"{url}/events",
        "html_url": f"{repo_web(repo)}/{'pull' if it.pull else 'issues'}/{it.number}",
        "id": it.id, "node_id": node("Issue", it.id), "number": it.number, "title": it.title,
        "user": user(GENERATOR), "labels": [label(repo, name) for name in it.labels], "state": it.state,
        "locked": False, "assignee": None, "assignees": [], "milestone": None, "comments": it.comments,
        "created_at": iso(it.created_at), "updated_at": iso(it.updated_at), "closed_at": iso(it.closed_at),
        "author_association": "OWNER", "active_lock_reason": None, "body": it.body,
        "reactions": {"url": f"{url}/reactions", "total_count": 0, **REACTIONS},
        "timeline_url": f"{url}/timeline", "performed_via_github_app": None,
        "state_reason": "completed" if it.closed_at and not it.pull else None,
    }  # fmt: skip
    if it.pull:
        pull_url, web = f"{repo_api(repo)}/pulls/{it.number}", f"{repo_web(repo)}/pull/{it.number}"
        shape["draft"] = it.pull.draft
        shape["pull_request"] = {
            "url": pull_url, "html_url": web, "diff_url": f"{web}.diff", "patch_url": f"{web}.patch",
            "merged_at": iso(it.pull.merged_at),
        }  # fmt: skip
    return shape


def pull(repo: Repo, it: Issue, its: Pull, whole_repo: msgspec.Raw) -> dict[str, Any]:
    """The list item; the single pull request adds what only git can tell."""
    api, web = repo_api(repo), f"{repo_web(repo)}/pull/{it.number}"
    url, issue_url = f"{api}/pulls/{it.number}", f"{api}/issues/{it.number}"
    links = {
        "self": url, "html": web, "issue": issue_url, "comments": f"{issue_url}/comments",
        "review_comments": f"{url}/comments", "review_comment": f"{api}/pulls/comments{{/number}}",
        "commits": f"{url}/commits", "statuses": f"{api}/statuses/{its.head_sha}",
    }  # fmt: skip
    return {
        "url": url, "id": its.id, "node_id": node("PullRequest", its.id), "html_url": web, "diff_url": f"{web}.diff",
        "patch_url": f"{web}.patch", "issue_url": issue_url, "number": it.number, "state": it.state, "locked": False,
        "title": it.title, "user": user(GENERATOR), "body": it.body, "created_at": iso(it.created_at),
        "updated_at": iso(it.updated_at), "closed_at": iso(it.closed_at), "merged_at": iso(its.merged_at),
        "merge_commit_sha": its.merge_commit_sha, "assignee": None, "assignees": [], "requested_reviewers": [],
        "requested_teams": [], "labels": [label(repo, name) for name in it.labels], "milestone": None,
        "draft": its.draft, "commits_url": links["commits"], "review_comments_url": links["review_comments"],
        "review_comment_url": links["review_comment"], "comments_url": links["comments"],
        "statuses_url": links["statuses"],
        "head": _end(repo, its.head_ref, its.head_sha, whole_repo),
        "base": _end(repo, its.base_ref, its.base_sha, whole_repo),
        "_links": {name: {"href": href} for name, href in links.items()},
        "author_association": "OWNER", "auto_merge": None, "active_lock_reason": None,
    }  # fmt: skip


def _end(repo: Repo, ref: str, sha: str, whole_repo: msgspec.Raw) -> dict[str, Any]:
    return {"label": f"{repo.owner}:{ref}", "ref": ref, "sha": sha, "user": user(repo.owner), "repo": whole_repo}


def comment(repo: Repo, it: Comment, *, on_pull: bool) -> dict[str, Any]:
    url = f"{repo_api(repo)}/issues/comments/{it.id}"
    return {
        "url": url, "issue_url": f"{repo_api(repo)}/issues/{it.number}", "id": it.id,
        "html_url": f"{repo_web(repo)}/{'pull' if on_pull else 'issues'}/{it.number}#issuecomment-{it.id}",
        "node_id": node("IssueComment", it.id), "user": user(GENERATOR), "created_at": iso(it.created_at),
        "updated_at": iso(it.updated_at), "author_association": "OWNER", "performed_via_github_app": None,
        "body": it.body, "reactions": {"url": f"{url}/reactions", "total_count": 0, **REACTIONS},
    }  # fmt: skip


def review(repo: Repo, it: Review) -> dict[str, Any]:
    pull_url = f"{repo_api(repo)}/pulls/{it.number}"
    web = f"{repo_web(repo)}/pull/{it.number}#pullrequestreview-{it.id}"
    return {
        "id": it.id, "node_id": node("PullRequestReview", it.id), "user": user(GENERATOR), "body": it.body,
        "state": it.state, "html_url": web, "pull_request_url": pull_url, "author_association": "OWNER",
        "submitted_at": iso(it.submitted_at), "commit_id": it.commit_id,
        "_links": {"html": {"href": web}, "pull_request": {"href": pull_url}},
    }  # fmt: skip


def review_comment(repo: Repo, it: ReviewComment) -> dict[str, Any]:
    url, pull_url = f"{repo_api(repo)}/pulls/comments/{it.id}", f"{repo_api(repo)}/pulls/{it.number}"
    web = f"{repo_web(repo)}/pull/{it.number}#discussion_r{it.id}"
    return {
        "url": url, "pull_request_review_id": it.review, "id": it.id, "diff_hunk": it.diff_hunk, "path": it.path,
        "node_id": node("PullRequestReviewComment", it.id), "position": 1, "original_position": 1,
        "commit_id": it.commit_id, "original_commit_id": it.commit_id, "user": user(GENERATOR), "body": it.body,
        "created_at": iso(it.created_at), "updated_at": iso(it.updated_at), "html_url": web,
        "pull_request_url": pull_url, "author_association": "OWNER",
        "_links": {"self": {"href": url}, "html": {"href": web}, "pull_request": {"href": pull_url}},
        "reactions": {"url": f"{url}/reactions", "total_count": 0, **REACTIONS}, "start_line": None,
        "original_start_line": None, "start_side": None, "line": it.line, "original_line": it.line, "side": "RIGHT",
    }  # fmt: skip


def hook(repo: Repo, it: Hook, *, last: dict[str, Any]) -> dict[str, Any]:
    """The secret is never given back, only that there is one."""
    url = f"{repo_api(repo)}/hooks/{it.id}"
    config = {"content_type": it.content_type, "insecure_ssl": it.insecure_ssl, "url": it.url}
    return {
        "type": "Repository", "id": it.id, "name": "web", "active": it.active, "events": it.events,
        "config": {**config, "secret": "********"} if it.secret else config,
        "updated_at": iso(it.updated_at), "created_at": iso(it.created_at), "url": url, "test_url": f"{url}/test",
        "ping_url": f"{url}/pings", "deliveries_url": f"{url}/deliveries", "last_response": last,
    }  # fmt: skip


def commit(repo: Repo, it: pygit2.Commit) -> dict[str, Any]:
    """Everyone who ever wrote a commit is shown as the generator: the sandbox tells of no person."""
    api, sha = repo_api(repo), str(it.id)
    who = {"name": NAME, "email": EMAIL, "date": iso(it.commit_time)}
    return {
        "sha": sha, "node_id": node("Commit", sha),
        "commit": {
            "author": who, "committer": who, "message": it.message.rstrip("\n"), "comment_count": 0,
            "tree": {"sha": str(it.tree_id), "url": f"{api}/git/trees/{it.tree_id}"},
            "url": f"{api}/git/commits/{sha}",
            "verification": {"verified": False, "reason": "unsigned", "signature": None, "payload": None},
        },
        "url": f"{api}/commits/{sha}", "html_url": f"{repo_web(repo)}/commit/{sha}",
        "comments_url": f"{api}/commits/{sha}/comments", "author": user(GENERATOR), "committer": user(GENERATOR),
        "parents": [
            {"sha": str(p), "url": f"{api}/commits/{p}", "html_url": f"{repo_web(repo)}/commit/{p}"}
            for p in it.parent_ids
        ],
    }  # fmt: skip


def changed_file(repo: Repo, it: FileChange, ref: str) -> dict[str, Any]:
    shape: dict[str, Any] = {
        "sha": it.sha, "filename": it.path, "status": it.status, "additions": it.additions,
        "deletions": it.deletions, "changes": it.additions + it.deletions,
        "blob_url": f"{repo_web(repo)}/blob/{ref}/{it.path}", "raw_url": f"{repo_web(repo)}/raw/{ref}/{it.path}",
        "contents_url": f"{repo_api(repo)}/contents/{it.path}?ref={ref}",
    }  # fmt: skip
    if it.patch is not None:
        shape["patch"] = it.patch
    if it.previous is not None:
        shape["previous_filename"] = it.previous
    return shape
