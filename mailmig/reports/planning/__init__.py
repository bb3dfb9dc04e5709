"""Reports about wave plans: a plan, two plans side by side, a plan made again, mails to people."""
