"""What `python -m rag` offers; each command imports what it needs when it runs."""
