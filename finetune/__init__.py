"""Data, checks, training, evaluation, export: from a company's examples to an adapter that serves."""
