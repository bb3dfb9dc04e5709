Get-ClusterNode | ForEach-Object {
    [pscustomobject]@{
        Name = $_.Name
        State = [int]$_.State
        Weight = [int]$_.NodeWeight
        DynamicWeight = [int]$_.DynamicWeight
    }
}
