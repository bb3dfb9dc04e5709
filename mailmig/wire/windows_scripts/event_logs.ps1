foreach ($name in 'Application', 'System') {
    $log = Get-WinEvent -ListLog $name
    $oldest = Get-WinEvent -LogName $name -Oldest -MaxEvents 1 -ErrorAction SilentlyContinue
    [pscustomobject]@{
        Name = $name
        Size = [long]$log.FileSize
        Largest = [long]$log.MaximumSizeInBytes
        Full = [bool]$log.IsLogFull
        Oldest = if ($oldest) { $oldest.TimeCreated.ToUniversalTime() } else { $null }
    }
}
