$wanted = @{
    PerfOS_Processor = 'PercentProcessorTime'
    PerfOS_Memory = 'AvailableBytes'
    ESE_MSExchangeDatabaseInstances = 'IODatabaseReadsAttachedAverageLatency',
        'IODatabaseWritesAttachedAverageLatency', 'IODatabaseReadsRecoveryAverageLatency',
        'IOLogWritesAverageLatency', 'LogRecordStallsPersec', 'DatabasePageFaultStallsPersec'
    MSExchangeISStore_MSExchangeISStore = 'RPCAverageLatency', 'RPCRequests'
}
foreach ($group in $wanted.Keys) {
    Get-CimInstance -ClassName "Win32_PerfFormattedData_$group" -ErrorAction SilentlyContinue | ForEach-Object {
        $seen = $_
        foreach ($name in $wanted[$group]) {
            if ($null -ne $seen.$name) {
                [pscustomobject]@{ Group = $group; Instance = "$($seen.Name)"; Name = $name; Value = [double]$seen.$name }
            }
        }
    }
}
