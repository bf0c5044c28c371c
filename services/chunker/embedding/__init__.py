"""Texts as vectors: the embedders, the choice between them, and a query's vector.

For a search: QueryEmbedder (queries.py). `embed_query(text)`, outside any transaction, answers
QueryVector(generation, vector) or NoVector(reason); the index then names the chunks that lie nearest to the vector.
"""
