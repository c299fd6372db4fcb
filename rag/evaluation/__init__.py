"""Figures of retrieval, answers and refusals on labelled questions; two runs compared."""
