try {
    $found = Get-DnsServerResourceRecord -ZoneName $asked.zone -Name $asked.name -RRType $asked.type
} catch {
    if ($_.CategoryInfo.Category -ne 'ObjectNotFound') { throw }
    $found = @()
}
$found | ForEach-Object {
    $data = $_.RecordData
    [pscustomobject]@{
        Name = $_.HostName
        Type = $_.RecordType
        Value = "$($data.IPv4Address)$($data.IPv6Address)$($data.HostNameAlias)"
        TimeToLive = [long]$_.TimeToLive.TotalSeconds
        Stamped = if ($_.Timestamp) { $_.Timestamp.ToUniversalTime() } else { $null }
    }
}
