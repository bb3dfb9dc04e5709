"""The files of the planner: calendar and target (JSON), mailboxes and shares (CSV), plans (JSON).

Text in, values out, and back. What is wrong is said with file, place and what to do. The
form of the input is that of the planning example in data/README.md.
"""
