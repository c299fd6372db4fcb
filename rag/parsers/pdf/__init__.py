"""PDF: text in reading order, tables as rows, headings, pages for citations, OCR."""
