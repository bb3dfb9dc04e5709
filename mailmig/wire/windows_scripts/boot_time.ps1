$os = Get-CimInstance -ClassName Win32_OperatingSystem
[pscustomobject]@{
    Name = $os.CSName
    Version = $os.Version
    StartedAt = $os.LastBootUpTime.ToUniversalTime()
    Now = $os.LocalDateTime.ToUniversalTime()
}
