$root = [Environment]::GetEnvironmentVariable('ExchangeInstallPath', 'Machine')
$path = $asked.folder.Replace('%Exchange%', "$root").Replace('%SystemDrive%', $env:SystemDrive)
$cut = $asked.split
$seen = @{}
$files = $lines = $unread = $left = 0
$oldest = '9'
$there = Test-Path -LiteralPath $path
$all = if ($there) { Get-ChildItem -LiteralPath $path -Recurse -File -Filter *.log }
foreach ($file in $all | Where-Object { $_.LastWriteTimeUtc -ge ([datetime]$asked.since).AddDays(-2) }) {
    $files++
    $reader = New-Object IO.StreamReader ([IO.File]::Open($file.FullName, 'Open', 'Read', 'ReadWrite, Delete'))
    $at = @()
    while ($null -ne ($line = $reader.ReadLine())) {
        if ($line -match '^#Fields: (.+)') {
            $known = $Matches[1].Trim().Split($cut)
            $at = @(foreach ($names in $asked.fields) {
                $where = @(foreach ($name in $names.Split('|')) { [array]::IndexOf($known, $name) })
                , @(if ($where -notcontains -1) { $where })
            })
        }
        if (!$line -or $line[0] -eq '#') { continue }
        $cells = if ($cut -eq ' ') { $line.Split($cut) -replace '^-$' -replace '\+', ' ' } elseif ($line.Contains('"')) { $line -split ',(?=(?:[^"]*"[^"]*")*[^"]*$)' -replace '^"|"$' -replace '""', '"' } else { $line.Split($cut) }
        $got = @(foreach ($where in $at) { if ($where.Count) { $cells[$where] -join ' ' } else { '|' } })
        if ("$($got[0])" -notmatch '^(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)') { $unread++; continue }
        $when = "$($Matches[1]) $($Matches[2])"
        if ($when -lt $oldest) { $oldest = $when }
        if ($when -lt $asked.since) { continue }
        $lines++
        $got[2] = $got[2].TrimStart('/').Split('/')[0]
        $key = $got[1..5] -join "`t"
        if (!$seen[$key]) {
            if ($seen.Count -ge 20000) { $left++; continue }
            $seen[$key] = @(0, 0, '')
        }
        $entry = $seen[$key]
        $entry[0]++
        $entry[1] += [int]($got[6] -match $asked.good)
        if ($when -gt $entry[2]) { $entry[2] = $when }
    }
    $reader.Close()
}
[pscustomobject]@{ Folder = $path; There = $there; Files = $files; Lines = $lines; Unread = $unread; Left = $left; Oldest = $oldest }
foreach ($key in $seen.Keys) {
    [pscustomobject]@{ Client = $key; Requests = $seen[$key][0]; Accepted = $seen[$key][1]; Last = $seen[$key][2] }
}
