$cluster = Get-Cluster
[pscustomobject]@{
    SameSubnetDelay = [int]$cluster.SameSubnetDelay
    SameSubnetThreshold = [int]$cluster.SameSubnetThreshold
    CrossSubnetDelay = [int]$cluster.CrossSubnetDelay
    CrossSubnetThreshold = [int]$cluster.CrossSubnetThreshold
}
