$cluster = Get-Cluster
$resource = (Get-ClusterQuorum).QuorumResource
$share = $null
if ($resource) {
    $share = ($resource | Get-ClusterParameter | Where-Object { $_.Name -eq 'SharePath' }).Value
}
[pscustomobject]@{
    Cluster = $cluster.Name
    Kind = "$($resource.ResourceType.Name)"
    State = if ($resource) { [int]$resource.State } else { $null }
    Owner = "$($resource.OwnerNode.Name)"
    Share = $share
    DynamicWeight = [int]$cluster.WitnessDynamicWeight
    DynamicQuorum = [bool]$cluster.DynamicQuorum
}
