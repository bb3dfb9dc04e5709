Get-CimInstance -ClassName Win32_Volume -Filter 'DriveType = 3' | ForEach-Object {
    [pscustomobject]@{
        Id = $_.DeviceID
        Path = $_.Name
        Label = $_.Label
        FileSystem = $_.FileSystem
        Capacity = $_.Capacity
        Free = $_.FreeSpace
        BlockSize = $_.BlockSize
    }
}
