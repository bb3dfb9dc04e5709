"""The wave planner: feasibility, windows, databases, what a plan costs, checks, explanations.

`maker.make` makes a plan, `checker.check` judges any plan without asking how it was made,
`explain.explain` says why one mailbox is where it is. The choice of windows
(`departments.fill`) is one step of its own.
"""
