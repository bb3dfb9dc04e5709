$counted = Get-CimInstance -ClassName Win32_PerfRawData_Tcpip_NetworkInterface
Get-CimInstance -ClassName Win32_NetworkAdapterConfiguration -Filter 'IPEnabled = True' | ForEach-Object {
    $card = $_
    $name = $card.Description.Replace('(', '[').Replace(')', ']') -replace '[#/\\]', '_'
    $seen = $counted | Where-Object { $_.Name -eq $name }
    [pscustomobject]@{
        Name = $card.Description
        Addresses = @($card.IPAddress)
        Discarded = if ($seen) { [long]$seen.PacketsReceivedDiscarded } else { $null }
        Registers = [bool]$card.FullDNSRegistrationEnabled
    }
}
