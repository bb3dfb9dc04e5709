$zone = Get-DnsServerZone -Name $asked.zone
$ageing = Get-DnsServerZoneAging -Name $asked.zone
$server = Get-DnsServerScavenging
[pscustomobject]@{
    Name = $zone.ZoneName
    InDirectory = [bool]$zone.IsDsIntegrated
    Update = "$($zone.DynamicUpdate)"
    Ageing = [bool]$ageing.AgingEnabled
    NoRefresh = [long]$ageing.NoRefreshInterval.TotalSeconds
    Refresh = [long]$ageing.RefreshInterval.TotalSeconds
    Scavenging = if ($server.ScavengingState) { [long]$server.ScavengingInterval.TotalSeconds } else { $null }
}
