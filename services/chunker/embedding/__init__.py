"""Texts as vectors: the embedders, the choice between them, and a query's vector.

For a search: `queries.embed_query(text)` (queries.py; handlers ask for `queries` by name), outside any transaction,
answers QueryVector(generation, vector) or NoVector(reason). Then `async with db.snapshot(workspace) as tx`, so that
words, vectors and texts are read of one moment, `repository.vectors.nearest(tx, found.generation, found.vector, depth,
where=..., values=...)` answers [Near(pk, similarity)], the best first.
"""
