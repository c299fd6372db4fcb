"""The only composer: chat flow, HTTP API and web page over `rag` and `guardrails`."""
