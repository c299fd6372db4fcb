"""Retrieval-augmented generation: source -> parse -> chunk -> embed -> store; question -> answer.

Imports none of the other packages; `serve` composes it with `guardrails`.
"""
