"""Exchange's remote PowerShell as the lab speaks it: runspaces, pipelines, and the cmdlets' seam."""
