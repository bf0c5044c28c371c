"""OpenSearch as the index: it ranks what it was told of, and Postgres decides what may be shown."""
