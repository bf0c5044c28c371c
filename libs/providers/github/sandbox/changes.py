"""What happens at the played GitHub when somebody works there: every change, and the deliveries it causes."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import msgspec

from libs.providers.github.sandbox import pushing, shapes
from libs.providers.github.sandbox.asked import (
    AnyChange,
    ChangeDefaultBranch,
    Close,
    CreateRepository,
    DeleteComment,
    DeleteIssue,
    DeleteRepository,
    EditComment,
    EditIssue,
    EditRepository,
    Merge,
    OpenIssue,
    OpenPull,
    Push,
    RenameRepository,
    Reopen,
    Reply,
    Reviewed,
    RevokeToken,
    Transfer,
)
from libs.providers.github.sandbox.generate import empty_repository
from libs.providers.github.sandbox.gitstore import MergeConflict
from libs.providers.github.sandbox.hooks import Hooks, about
from libs.providers.github.sandbox.issues import pull_detail
from libs.providers.github.sandbox.records import Comment, Issue, Pull, Review, ReviewComment
from libs.providers.github.sandbox.world import Shelf, World
from libs.sandbox.contract import ControlRefused


def shelf_named(world: World, name: str) -> Shelf:
    found = world.named(name)
    if found is None:
        raise ControlRefused(f"no repository {name}", status=404)
    return found[0]


class Changes:
    def __init__(self, world: World, hooks: Hooks) -> None:
        self.world = world
        self.hooks = hooks
        self._sent: list[int] = []
        self._verbs: dict[type, Callable[[Any], dict[str, Any]]] = {
            Push: self.push, OpenIssue: self.open_issue, EditIssue: self.edit_issue, Reply: self.reply,
            EditComment: self.edit_comment, DeleteComment: self.delete_comment, Reviewed: self.review,
            Close: self.close, Reopen: self.reopen, DeleteIssue: self.delete_issue, Transfer: self.transfer,
            OpenPull: self.open_pull, Merge: self.merge, CreateRepository: self.create_repository,
            RenameRepository: self.rename_repository, DeleteRepository: self.delete_repository,
            EditRepository: self.edit_repository, ChangeDefaultBranch: self.change_default_branch,
            RevokeToken: self.revoke_token,
        }  # fmt: skip

    def make(self, body: dict[str, Any]) -> dict[str, Any]:
        """Makes one change at once and starts its deliveries; answers what came of it and their ids."""
        asked = msgspec.convert(body, AnyChange)
        self._sent = []
        try:
            result = self._verbs[type(asked)](asked)
        except (KeyError, MergeConflict) as wrong:
            raise ControlRefused(f"{body.get('op')}: {wrong}", status=409) from wrong
        return {"op": body.get("op"), **result, "deliveries": self._sent}

    # code

    def push(self, it: Push) -> dict[str, Any]:
        shelf = shelf_named(self.world, it.repository)
        branch = it.branch or shelf.repo.default_branch
        files: dict[str, bytes | None] = {path: pushing.content(value) for path, value in it.files.items()}
        files |= dict.fromkeys(it.delete)
        before, after = pushing.commit(shelf, branch, files, it, self._now())
        return self._pushed(shelf, branch, before, after)

    def _pushed(self, shelf: Shelf, branch: str, before: str, after: str) -> dict[str, Any]:
        shelf.repo.pushed_at = self._now(shelf.repo.pushed_at)
        self.world.keep(shelf.repo)
        self._tell(shelf, "push", pushing.payload(shelf, branch, before, after))
        for issue in shelf.issue_of_pull_list():
            if issue.pull and issue.pull.head_ref == branch and issue.closed_at is None:
                issue.pull.head_sha = after
                self._touch(issue)
                self._pull_event(shelf, issue, "synchronize", before=before, after=after)
        return {"branch": branch, "before": before, "after": after}

    def open_pull(self, it: OpenPull) -> dict[str, Any]:
        shelf = shelf_named(self.world, it.repository)
        base = it.base or shelf.repo.default_branch
        base_sha = shelf.git.head_of(base)
        branch = it.branch or f"sandbox/pull-{shelf.repo.next_number}"
        files: dict[str, bytes | None] = {path: pushing.content(value) for path, value in it.files.items()}
        files = files or {f"notes/pull-{shelf.repo.next_number}.md": f"# {it.title}\n".encode()}
        head = shelf.git.write(parents=[base_sha], files=files, renames={}, message=it.title, when=self._now())
        shelf.git.point(f"heads/{branch}", head)
        pull = Pull(id=self.world.next_id(), head_ref=branch, head_sha=head, base_ref=base, base_sha=base_sha)
        issue = self._born(shelf, it.title, it.body, it.labels, pull=pull)
        self._pull_event(shelf, issue, "opened")
        return {"number": issue.number, "id": issue.id, "headSha": head}

    def merge(self, it: Merge) -> dict[str, Any]:
        shelf, issue = self._find(it.repository, it.number)
        pull = issue.pull
        if pull is None or pull.merged_at:
            raise ControlRefused(f"{it.number} is no open pull request")
        before = shelf.git.head_of(pull.base_ref)
        words = f"Merge pull request #{issue.number} from {shelf.repo.owner}/{pull.head_ref}\n\n{issue.title}"
        after = shelf.git.merge(before, pull.head_sha, words, self._now())
        shelf.git.point(f"heads/{pull.base_ref}", after)
        pull.merged_at = issue.closed_at = self._now()
        pull.merge_commit_sha = after
        self._touch(issue)
        self._pull_event(shelf, issue, "closed")
        return {"number": issue.number, **self._pushed(shelf, pull.base_ref, before, after)}

    # conversation

    def open_issue(self, it: OpenIssue) -> dict[str, Any]:
        shelf = shelf_named(self.world, it.repository)
        issue = self._born(shelf, it.title, it.body, it.labels)
        self._issue_event(shelf, issue, "opened")
        return {"number": issue.number, "id": issue.id}

    def edit_issue(self, it: EditIssue) -> dict[str, Any]:
        shelf, issue = self._find(it.repository, it.number)
        changes: dict[str, Any] = {}
        for name, value in (("title", it.title), ("body", it.body)):
            if value is not None and value != getattr(issue, name):
                changes[name] = {"from": getattr(issue, name)}
                setattr(issue, name, value)
        issue.labels = issue.labels if it.labels is None else it.labels
        self._touch(issue)
        self._issue_event(shelf, issue, "edited", changes=changes)
        return {"number": issue.number, "changed": sorted(changes)}

    def reply(self, it: Reply) -> dict[str, Any]:
        shelf, issue = self._find(it.repository, it.number)
        now = self._now()
        comment = Comment(
            id=self.world.next_id(), repo=shelf.repo.id, number=issue.number, body=it.body,
            created_at=now, updated_at=now,
        )  # fmt: skip
        issue.comments += 1
        self.world.keep(comment)
        self._comment_event(shelf, comment, "created")
        return {"id": comment.id, "number": issue.number}

    def edit_comment(self, it: EditComment) -> dict[str, Any]:
        shelf, comment = self._comment(it.repository, it.id)
        old, comment.body = comment.body, it.body
        comment.updated_at = self._now(comment.updated_at)
        self.world.keep(comment)
        self._comment_event(shelf, comment, "edited", changes={"body": {"from": old}})
        return {"id": comment.id, "number": comment.number}

    def delete_comment(self, it: DeleteComment) -> dict[str, Any]:
        shelf, comment = self._comment(it.repository, it.id)
        shelf.issues[comment.number].comments -= 1
        self.world.drop(comment)
        self._comment_event(shelf, comment, "deleted")
        return {"id": comment.id, "number": comment.number}

    def review(self, it: Reviewed) -> dict[str, Any]:
        shelf, issue = self._find(it.repository, it.number)
        if issue.pull is None:
            raise ControlRefused(f"{it.number} is no pull request")
        now, head = self._now(), issue.pull.head_sha
        review = Review(
            id=self.world.next_id(), repo=shelf.repo.id, number=issue.number, state=it.state, body=it.body,
            commit_id=head, submitted_at=now,
        )  # fmt: skip
        said = [
            ReviewComment(
                id=self.world.next_id(), repo=shelf.repo.id, number=issue.number, review=review.id, path=line.path,
                diff_hunk="@@ -1 +1 @@", line=line.line, body=line.body, commit_id=head, created_at=now, updated_at=now,
            )
            for line in it.comments
        ]  # fmt: skip
        self.world.keep(review, *said)
        self._touch(issue)
        # Hooks write a review's state in lower case, the REST API in upper case.
        shape = {**shapes.review(shelf.repo, review), "state": it.state.lower()}
        pull = self._pull_shape(shelf, issue)
        self._tell(shelf, "pull_request_review", {"action": "submitted", "review": shape, "pull_request": pull})
        for comment in said:
            about_line = {"comment": shapes.review_comment(shelf.repo, comment), "pull_request": pull}
            self._tell(shelf, "pull_request_review_comment", {"action": "created", **about_line})
        return {"id": review.id, "comments": [comment.id for comment in said]}

    def close(self, it: Close) -> dict[str, Any]:
        shelf, issue = self._find(it.repository, it.number)
        issue.closed_at = self._now(issue.updated_at)
        self._touch(issue)
        self._issue_event(shelf, issue, "closed")
        return {"number": issue.number}

    def reopen(self, it: Reopen) -> dict[str, Any]:
        shelf, issue = self._find(it.repository, it.number)
        issue.closed_at = None
        self._touch(issue)
        self._issue_event(shelf, issue, "reopened")
        return {"number": issue.number}

    def delete_issue(self, it: DeleteIssue) -> dict[str, Any]:
        shelf, issue = self._find(it.repository, it.number)
        if issue.pull:
            raise ControlRefused("GitHub deletes issues only, never pull requests")
        issue.deleted = True
        self.world.keep(issue)
        self._issue_event(shelf, issue, "deleted")
        return {"number": issue.number}

    def transfer(self, it: Transfer) -> dict[str, Any]:
        """The issue and its comments move to another repository under a new id and number."""
        shelf, issue = self._find(it.repository, it.number)
        there = shelf_named(self.world, it.to)
        moved = self._born(there, issue.title, issue.body, issue.labels, like=issue)
        comments = [c for c in shelf.comments.values() if c.number == issue.number]
        self.world.drop(*comments)
        for comment in comments:
            self.world.keep(msgspec.structs.replace(comment, repo=there.repo.id, number=moved.number))
        issue.moved_to = (there.repo.id, moved.number)
        self.world.keep(issue)
        new = {"new_issue": shapes.issue(there.repo, moved), "new_repository": shapes.repository(there.repo)}
        self._issue_event(shelf, issue, "transferred", changes=new)
        self._issue_event(there, moved, "opened")
        return {"number": issue.number, "newNumber": moved.number, "newRepository": there.repo.full_name}

    # repositories and tokens

    def create_repository(self, it: CreateRepository) -> dict[str, Any]:
        if self.world.named(it.full_name):
            raise ControlRefused(f"{it.full_name} is there already")
        files = {path: pushing.content(value) for path, value in it.files.items()}
        shelf = empty_repository(self.world, it.full_name, files)
        return {"fullName": shelf.repo.full_name, "id": shelf.repo.id}

    def rename_repository(self, it: RenameRepository) -> dict[str, Any]:
        shelf = shelf_named(self.world, it.repository)
        repo, old = shelf.repo, shelf.repo.full_name
        name = it.to if "/" in it.to else f"{repo.owner}/{it.to}"
        if self.world.named(name):
            raise ControlRefused(f"{name} is there already")
        repo.former_names.append(old.lower())
        repo.full_name, repo.updated_at = name, self._now(repo.updated_at)
        self.world.keep(repo)
        changes = {"repository": {"name": {"from": old.partition("/")[2]}}}
        self._tell(shelf, "repository", {"action": "renamed", "changes": changes})
        return {"id": repo.id, "fullName": repo.full_name}

    def delete_repository(self, it: DeleteRepository) -> dict[str, Any]:
        """No delivery: GitHub does not tell a repository's own hooks that it is gone."""
        shelf = shelf_named(self.world, it.repository)
        shelf.repo.deleted = True
        self.world.keep(shelf.repo)
        return {"id": shelf.repo.id}

    def edit_repository(self, it: EditRepository) -> dict[str, Any]:
        shelf = shelf_named(self.world, it.repository)
        repo, changes = shelf.repo, {}
        if it.description is not None:
            changes["description"] = {"from": repo.description}
            repo.description = it.description
        repo.has_issues = repo.has_issues if it.has_issues is None else it.has_issues
        repo.private = repo.private if it.private is None else it.private
        archived, repo.archived = repo.archived, repo.archived if it.archived is None else it.archived
        repo.updated_at = self._now(repo.updated_at)
        self.world.keep(repo)
        action = "edited" if archived == repo.archived else "archived" if repo.archived else "unarchived"
        self._tell(shelf, "repository", {"action": action, "changes": changes})
        return {"id": repo.id, "action": action}

    def change_default_branch(self, it: ChangeDefaultBranch) -> dict[str, Any]:
        """Makes the branch from the present default one when it is not there."""
        shelf = shelf_named(self.world, it.repository)
        repo, old = shelf.repo, shelf.repo.default_branch
        if it.to not in shelf.git.branches():
            shelf.git.point(f"heads/{it.to}", shelf.git.head_of(old))
        repo.default_branch, repo.updated_at = it.to, self._now(repo.updated_at)
        self.world.keep(repo)
        self._tell(shelf, "repository", {"action": "edited", "changes": {"default_branch": {"from": old}}})
        return {"from": old, "to": it.to}

    def revoke_token(self, it: RevokeToken) -> dict[str, Any]:
        token = self.world.tokens.get(it.token)
        if token is None:
            raise ControlRefused("no such token", status=404)
        token.state = "revoked"
        self.world.keep(token)
        return {"revoked": True}

    # what the verbs share

    def _find(self, repository: str, number: int) -> tuple[Shelf, Issue]:
        shelf = shelf_named(self.world, repository)
        issue = shelf.issues.get(number)
        if issue is None or not issue.listed:
            raise ControlRefused(f"no issue {number} in {repository}", status=404)
        return shelf, issue

    def _comment(self, repository: str, identity: int) -> tuple[Shelf, Comment]:
        shelf = shelf_named(self.world, repository)
        if identity not in shelf.comments:
            raise ControlRefused(f"no comment {identity} in {repository}", status=404)
        return shelf, shelf.comments[identity]

    def _born(
        self,
        shelf: Shelf,
        title: str,
        body: str,
        labels: list[str],
        *,
        pull: Pull | None = None,
        like: Issue | None = None,
    ) -> Issue:
        now = self._now()
        issue = Issue(
            id=self.world.next_id(), repo=shelf.repo.id, number=shelf.repo.next_number, title=title, body=body,
            labels=list(labels), pull=pull, created_at=like.created_at if like else now, updated_at=now,
            closed_at=like.closed_at if like else None, comments=like.comments if like else 0,
        )  # fmt: skip
        shelf.repo.next_number += 1
        self.world.keep(shelf.repo, issue)
        return issue

    def _touch(self, issue: Issue) -> None:
        issue.updated_at = self._now(issue.updated_at)
        self.world.keep(issue)

    def _issue_event(self, shelf: Shelf, issue: Issue, action: str, **more: Any) -> None:
        if issue.pull:
            self._pull_event(shelf, issue, action, **more)
        else:
            self._tell(shelf, "issues", {"action": action, "issue": shapes.issue(shelf.repo, issue), **more})

    def _pull_event(self, shelf: Shelf, issue: Issue, action: str, **more: Any) -> None:
        shape = self._pull_shape(shelf, issue)
        self._tell(shelf, "pull_request", {"action": action, "number": issue.number, "pull_request": shape, **more})

    def _comment_event(self, shelf: Shelf, comment: Comment, action: str, **more: Any) -> None:
        issue = shelf.issues[comment.number]
        if self.world.switches.comment_bumps_issue:
            issue.updated_at = self._now(issue.updated_at)
        self.world.keep(issue)
        said = shapes.comment(shelf.repo, comment, on_pull=issue.pull is not None)
        shape = shapes.issue(shelf.repo, issue)
        self._tell(shelf, "issue_comment", {"action": action, "issue": shape, "comment": said, **more})

    def _pull_shape(self, shelf: Shelf, issue: Issue) -> dict[str, Any]:
        return pull_detail(shelf, issue)

    def _tell(self, shelf: Shelf, event: str, payload: dict[str, Any]) -> None:
        self._sent += self.hooks.emit(shelf, event, {**about(shelf), **payload})

    def _now(self, floor: int = 0) -> int:
        """Whole seconds, as GitHub counts, and never before what was there: a change never looks older."""
        return max(int(time.time()) + self.world.switches.clock_ahead, floor)
