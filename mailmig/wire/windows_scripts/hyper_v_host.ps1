$computer = Get-CimInstance -ClassName Win32_ComputerSystem
[pscustomobject]@{
    Name = $computer.Name
    Cores = [int](@(Get-CimInstance -ClassName Win32_Processor | ForEach-Object { $_.NumberOfCores }) | Measure-Object -Sum).Sum
    Memory = [long]$computer.TotalPhysicalMemory
    Features = @(Get-CimInstance -ClassName Win32_ServerFeature | Where-Object { $_.ParentID -eq 0 } | ForEach-Object { [int]$_.ID })
}
