<#
    Exports what a migration inventory needs from this Exchange organisation.
    Printed by "mailmig collect --script", version {version}.

HOW TO RUN IT
    Copy this file to an Exchange server and open the Exchange Management Shell there. Where
    several versions run side by side, take a server of the newest one: it knows most.
        .\mailmig-collect.ps1
        .\mailmig-collect.ps1 -Folder D:\Exports\before-the-move
    If Windows blocks the file: right-click it, Properties, Unblock.
    Run it as a member of "Organization Management" or "View-Only Organization Management";
    what your role does not allow is noted as not available. Then, on any machine:
        mailmig inventory import FOLDER

WHAT IT DOES
    It calls Get- cmdlets one after the other, picks the properties that are named below and
    writes them as XML files into one new folder, with a list of the files (manifest.json).
    It changes nothing in the organisation. One cmdlet begins with Set-: Set-ADServerSettings
    makes this one window see all domains of the forest; at the end it is set back.
    A cmdlet that fails, or that this shell does not have, is noted in the manifest, and the
    next one is called. You may stop the script with Ctrl-C at any time.

WHAT IT TAKES
    Two calls for each mailbox (full access, send as) take most of the time; the window shows
    how far it is. The folder holds names, addresses, sizes and rights of people: keep it as
    you keep such data. No mail and no passwords are in it.
#>
#Requires -Version 3
param(
    [string]$Folder = (Join-Path -Path '.' -ChildPath "mailmig-$(Get-Date -Format 'yyyyMMdd-HHmmss')")
)

$ErrorActionPreference = 'Continue'
$mailboxes = New-Object -TypeName System.Collections.ArrayList    # whom to ask for rights
$databases = New-Object -TypeName System.Collections.ArrayList    # names, without recovery databases
$servers = New-Object -TypeName System.Collections.ArrayList      # versions
$listed = @{}                                                     # GUIDs of mailboxes with statistics

# Writes manifest.json: after every file, so that it tells the truth when the script is stopped.
function Save-Manifest {
    $manifest | ConvertTo-Json -Depth 4 |
        Out-File -LiteralPath (Join-Path -Path $Folder -ChildPath 'manifest.json') -Encoding UTF8
}

# The time as text, the same in every language.
function ConvertTo-UtcText([datetime]$Time) {
    $Time.ToUniversalTime().ToString('s') + 'Z'
}

# Says what this shell lacks for a call: it is of an older version, or your role leaves it out.
function Find-Lack([string]$Call) {
    $cmdlet, $words = $Call -split ' '
    $command = Get-Command -Name $cmdlet -ErrorAction SilentlyContinue
    if (-not $command) {
        "this shell has no $cmdlet"
    } else {
        $words | Where-Object { $_ -like '-*' } |
            Where-Object { -not $command.Parameters.ContainsKey($_.Substring(1)) } |
            ForEach-Object { "$cmdlet has no $_ in this shell" }
    }
}

# Asks one question and writes the answers to a file. Errors come along (2>&1), are counted and
# kept out of the file; the file holds all other answers and is whole even when the asking broke.
function Save-Answers([string]$Name, [int]$Depth, [string]$Call, [scriptblock]$Question) {
    Write-Host "$(Get-Date -Format 'HH:mm:ss')  $Name"
    $start = Get-Date
    $file = "$Name.xml"
    $tally = @{ Rows = 0; Broken = $false }
    $faults = New-Object -TypeName System.Collections.ArrayList
    $state = 'done'
    $lack = @(Find-Lack -Call $Call)
    if ($lack.Count -gt 0) {
        $state = 'not available'
        $fault = $lack -join '; '
    } else {
        try {
            & { try { & $Question } catch { $tally.Broken = $true; $_ } } 2>&1 |
                ForEach-Object {
                    if ($_ -is [System.Management.Automation.ErrorRecord]) {
                        [void]$faults.Add("$_")
                    } else {
                        $tally.Rows += 1
                        $_
                    }
                } |
                Export-Clixml -LiteralPath (Join-Path -Path $Folder -ChildPath $file) -Depth $Depth -Encoding UTF8
        } catch {
            $tally.Broken = $true    # the file cannot be written
            [void]$faults.Add("$_")
        }
        $fault = ''
        if ($faults.Count -gt 0) { $fault = "$($faults.Count) errors, the first: $($faults[0])" }
        if ($tally.Broken -or ($fault -and $tally.Rows -eq 0)) { $state = 'failed' }
    }
    if ($fault) { Write-Host "          $state - $fault" -ForegroundColor Yellow }
    [void]$manifest.files.Add([ordered]@{
        name = $Name
        file = $file
        cmdlet = $Call
        count = $tally.Rows
        seconds = [math]::Round(((Get-Date) - $start).TotalSeconds, 1)
        state = $state
        error = $fault
    })
    Save-Manifest
}

# Hands on the items one by one and shows how far it is. Empty ones are left out: a Get- cmdlet
# that is asked about nothing answers with everything.
function Step-Through([string]$Name, $Items) {
    $done = 0
    foreach ($item in $Items) {
        if ($done % 20 -eq 0) {
            Write-Progress -Activity $Name -Status "$done of $($Items.Count)" -PercentComplete (100 * $done / $Items.Count)
        }
        $done += 1
        if ($item) { $item }
    }
    Write-Progress -Activity $Name -Status 'done' -Completed
}

if (-not (Get-Command -Name Get-ExchangeServer -ErrorAction SilentlyContinue)) {
    throw 'This is not the Exchange Management Shell: open it on an Exchange server and run the script there.'
}
if (Test-Path -LiteralPath (Join-Path -Path $Folder -ChildPath 'manifest.json')) {
    throw "$Folder holds an export already: name a new folder."
}
$Folder = (New-Item -ItemType Directory -Path $Folder -Force -ErrorAction Stop).FullName

# The account SELF has rights on every mailbox; its name depends on the server's language.
$sid = New-Object -TypeName System.Security.Principal.SecurityIdentifier -ArgumentList 'S-1-5-10'
$self = @($sid.Translate([System.Security.Principal.NTAccount]).Value, 'NT AUTHORITY\SELF', 'S-1-5-10')

# The version of the server that answers in this window.
$connected = ''
$session = Get-PSSession |
    Where-Object { $_.ConfigurationName -eq 'Microsoft.Exchange' -and "$($_.State)" -eq 'Opened' } |
    Select-Object -First 1
if ($session -and $session.ComputerName) {
    $server = Get-ExchangeServer -Identity $session.ComputerName -ErrorAction SilentlyContinue
    $connected = "$($server.AdminDisplayVersion)"
}

$manifest = [ordered]@{
    schema = {schema}
    tool = 'mailmig collect'
    started = ConvertTo-UtcText -Time (Get-Date)
    finished = $null
    culture = (Get-Culture).Name
    powershell = "$($PSVersionTable.PSVersion)"
    computer = "$env:COMPUTERNAME"
    server_version = $connected
    self = $self[0]
    files = New-Object -TypeName System.Collections.ArrayList
}
Save-Manifest

# For this window only: see all domains of the forest, not just the server's own.
$wholeForest = "$((Get-ADServerSettings).ViewEntireForest)"
Set-ADServerSettings -ViewEntireForest $true

#{rows}

if ($wholeForest -eq 'False') { Set-ADServerSettings -ViewEntireForest $false }
$manifest.finished = ConvertTo-UtcText -Time (Get-Date)
Save-Manifest
Write-Host "Finished: $Folder"
Write-Host 'Copy that folder to the machine where mailmig is, and run there: mailmig inventory import FOLDER'
