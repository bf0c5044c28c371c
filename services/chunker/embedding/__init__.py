"""Texts as vectors: the embedders, the choice between them, and a query's vector.

For a search: `queries.embed_query(text)` (queries.py; handlers ask for `queries` by name), outside any transaction,
answers QueryVector(generation, vector) or NoVector(reason). Then, inside one,
`repository.vectors.nearest(tx, found.generation, found.vector, depth, where=..., values=...)` answers
[Near(pk, similarity)], the best first.
"""
