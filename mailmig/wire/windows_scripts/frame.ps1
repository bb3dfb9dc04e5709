$ErrorActionPreference = 'Stop'
$ProgressPreference = 'SilentlyContinue'
$asked = [Text.Encoding]::UTF8.GetString([Convert]::FromBase64String('{arguments}')) | ConvertFrom-Json
try {
    $answer = @(& {
{script}
    })
} catch {
    $answer = @([pscustomobject]@{
        MailmigError = $_.Exception.Message
        Category = [int]$_.CategoryInfo.Category
        Id = $_.FullyQualifiedErrorId
        Reason = $_.CategoryInfo.Reason
    })
}
$text = [Management.Automation.PSSerializer]::Serialize($answer, 3)
[Convert]::ToBase64String([Text.Encoding]::UTF8.GetBytes($text))
