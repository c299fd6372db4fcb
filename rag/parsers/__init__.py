"""One module a format: bytes -> Markdown or plain text. `rag/parse.py` chooses among them."""
