$key = 'HKLM:\SOFTWARE\Microsoft\Windows\CurrentVersion'
$system = 'HKLM:\SYSTEM\CurrentControlSet'
$quiet = @{ ErrorAction = 'SilentlyContinue' }
$os = Get-CimInstance -ClassName Win32_OperatingSystem
$computer = Get-CimInstance -ClassName Win32_ComputerSystem
$reboot = @()
if (Test-Path -Path "$key\Component Based Servicing\RebootPending") { $reboot += 'Servicing' }
if (Test-Path -Path "$key\WindowsUpdate\Auto Update\RebootRequired") { $reboot += 'Update' }
if ((Get-ItemProperty -Path "$system\Control\Session Manager").PendingFileRenameOperations) {
    $reboot += 'Rename'
}
$plan = Get-CimInstance -Namespace root\cimv2\power -ClassName Win32_PowerPlan -Filter 'IsActive = True'
$guard = Get-CimInstance -Namespace root\Microsoft\Windows\DeviceGuard -ClassName Win32_DeviceGuard @quiet
$proxy = (Get-ItemProperty -Path "$key\Internet Settings\Connections" @quiet).WinHttpSettings
[pscustomobject]@{
    Name = $os.CSName
    Version = $os.Version
    Revision = (Get-ItemProperty -Path 'HKLM:\SOFTWARE\Microsoft\Windows NT\CurrentVersion').UBR
    ProductType = [int]$os.ProductType
    Memory = [long]$computer.TotalPhysicalMemory
    Processors = [int]$computer.NumberOfLogicalProcessors
    Reboot = $reboot
    Setup = @(Get-CimInstance -ClassName Win32_Process -Filter "Name LIKE 'ExSetup%' OR Name = 'setup.exe'" | ForEach-Object { $_.Name })
    PageAutomatic = [bool]$computer.AutomaticManagedPagefile
    PageFiles = @(Get-CimInstance -ClassName Win32_PageFileSetting | ForEach-Object {
        [pscustomobject]@{ Path = $_.Name; Initial = [int]$_.InitialSize; Largest = [int]$_.MaximumSize }
    })
    PowerPlan = "$($plan.InstanceID)"
    KeepAlive = (Get-ItemProperty -Path "$system\Services\Tcpip\Parameters").KeepAliveTime
    IPv6 = (Get-ItemProperty -Path "$system\Services\Tcpip6\Parameters").DisabledComponents
    Proxy = if ($proxy -and $proxy[12]) { [Text.Encoding]::ASCII.GetString($proxy, 16, $proxy[12]) } else { '' }
    CredentialGuard = @($guard.SecurityServicesRunning) -contains 1
    DotNet = (Get-ItemProperty -Path 'HKLM:\SOFTWARE\Microsoft\NET Framework Setup\NDP\v4\Full').Release
    Runtimes = @(Get-ChildItem -Path "$key\Uninstall" | ForEach-Object { "$($_.GetValue('DisplayName'))" } | Where-Object { $_ -like 'Microsoft Visual C++ 20*(x64)*' })
}
