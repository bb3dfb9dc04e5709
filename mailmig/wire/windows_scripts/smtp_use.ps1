$root = [Environment]::GetEnvironmentVariable('ExchangeInstallPath', 'Machine')
$path = $asked.folder.Replace('%Exchange%', "$root")
$open = @{}
$seen = @{}
$files = $lines = $unread = $left = 0
$oldest = '9'
$there = Test-Path -LiteralPath $path
$all = if ($there) { Get-ChildItem -LiteralPath $path -Recurse -File -Filter *.log | Sort-Object -Property Name }
foreach ($file in $all | Where-Object { $_.LastWriteTimeUtc -ge ([datetime]$asked.since).AddDays(-2) }) {
    $files++
    $reader = New-Object IO.StreamReader ([IO.File]::Open($file.FullName, 'Open', 'Read', 'ReadWrite, Delete'))
    $at = @()
    while ($null -ne ($line = $reader.ReadLine())) {
        if ($line -match '^#Fields: (.+)') {
            $known = $Matches[1].Trim().Split(',')
            $at = @(foreach ($name in 'date-time', 'connector-id', 'session-id', 'remote-endpoint', 'event', 'data', 'context') { [array]::IndexOf($known, $name) })
        }
        if (!$line -or $line[0] -eq '#') { continue }
        $cells = $line -split ',(?=(?:[^"]*"[^"]*")*[^"]*$)' -replace '^"|"$' -replace '""', '"'
        $when, $connector, $session, $remote, $kind, $data, $context = foreach ($where in $at) { if ($where -lt 0) { '|' } else { "$($cells[$where])" } }
        if ("$when" -notmatch '^(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)') { $unread++; continue }
        $when = "$($Matches[1]) $($Matches[2])"
        if ($when -lt $oldest) { $oldest = $when }
        if ($when -lt $asked.since) { continue }
        $lines++
        $id = "$connector $session"
        if (!$open[$id]) {
            if ($open.Count -ge 100000) { $left++; continue }
            $open[$id] = @($connector, '', ($remote -replace ':\d+$'), '', 0, '')
        }
        $one = $open[$id]
        $one[5] = $when
        if ($kind -eq '<' -and $data -match '^(?:EHLO|HELO) (.+)') { $one[1] = $Matches[1] }
        if ($kind -eq '*' -and $context -eq 'authenticated') { $one[3] = $data }
        if ($kind -eq '>' -and $data.StartsWith('250 2.6.0 ')) { $one[4]++ }
    }
    $reader.Close()
}
foreach ($one in $open.Values) {
    $key = "|`t" + ($one[0..3] -join "`t")
    if (!$seen[$key]) { $seen[$key] = @(0, 0, '') }
    $entry = $seen[$key]
    $entry[0]++
    $entry[1] += $one[4]
    if ($one[5] -gt $entry[2]) { $entry[2] = $one[5] }
}
[pscustomobject]@{ Folder = $path; There = $there; Files = $files; Lines = $lines; Unread = $unread; Left = $left; Oldest = $oldest }
foreach ($key in $seen.Keys) {
    [pscustomobject]@{ Client = $key; Requests = $seen[$key][0]; Accepted = $seen[$key][1]; Last = $seen[$key][2] }
}
