"""GitHub's OAuth, played: the consent page, the token endpoint, and what an application may do with its tokens."""
