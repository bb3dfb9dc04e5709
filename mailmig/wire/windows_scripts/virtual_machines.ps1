$time = '*2497F4DE-E9FA-4204-80E4-4B75C46419C0'
$groups = try { Get-ClusterGroup } catch { @() }
Get-VM | ForEach-Object {
    $vm = $_
    $sync = Get-VMIntegrationService -VM $vm | Where-Object { "$($_.Id)" -like $time }
    $group = $groups | Where-Object { $_.Name -eq $vm.Name -and "$($_.GroupType)" -eq 'VirtualMachine' }
    [pscustomobject]@{
        Name = $vm.Name
        State = "$($vm.State)"
        Host = $vm.ComputerName
        Processors = [int]$vm.ProcessorCount
        Memory = [long]$vm.MemoryAssigned
        DynamicMemory = [bool]$vm.DynamicMemoryEnabled
        StopAction = "$($vm.AutomaticStopAction)"
        CheckpointType = "$($vm.CheckpointType)"
        Checkpoints = @(Get-VMSnapshot -VM $vm | ForEach-Object {
            [pscustomobject]@{ Name = $_.Name; At = $_.CreationTime.ToUniversalTime(); Kind = "$($_.SnapshotType)" }
        })
        TimeSync = [bool]$sync.Enabled
        Disks = @(Get-VMHardDiskDrive -VM $vm | ForEach-Object { "$($_.Path)" })
        Apart = @($group.AntiAffinityClassNames | Where-Object { $_ })
    }
}
