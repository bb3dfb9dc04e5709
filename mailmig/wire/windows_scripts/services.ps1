Get-CimInstance -ClassName Win32_Service |
    Where-Object { @($asked.names).Count -eq 0 -or @($asked.names) -contains $_.Name } |
    ForEach-Object {
        [pscustomobject]@{
            Name = $_.Name
            Title = $_.DisplayName
            State = $_.State
            StartMode = $_.StartMode
            Delayed = [bool]$_.DelayedAutoStart
            ProcessId = [int]$_.ProcessId
            ExitCode = [long]$_.ExitCode
        }
    }
