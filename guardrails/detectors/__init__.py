"""The detectors: plain functions of text and context. None of them knows NeMo."""
