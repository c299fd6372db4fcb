"""One module a place that documents come from, each behind the Protocol in `rag/source.py`."""
