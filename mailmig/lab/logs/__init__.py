"""What the servers write about their clients: proxy, IIS, SMTP and MAPI logs (operations.md 10)."""
