"""Documents become text, HTML, CSV, JSON and XLSX."""
