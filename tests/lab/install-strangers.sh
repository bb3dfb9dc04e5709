#!/usr/bin/env bash
# Installs the programs that we did not write and that tests talk to: Debian packages, as root
# or with a sudo that asks no password. Their services are not started; each test starts what
# it needs on loopback and ends it. Without those rights it says what is missing, and the tests
# that need it are left out (or fail, where MAILMIG_TEST_STRICT is set).
set -euo pipefail

programs=(curl dig ldapsearch named nsupdate slapd)
packages=(bind9 bind9-dnsutils curl ldap-utils slapd)

missing=()
for program in "${programs[@]}"; do
  PATH="$PATH:/usr/sbin:/sbin" command -v "$program" >/dev/null || missing+=("$program")
done
[ ${#missing[@]} -gt 0 ] || exit 0

if [ "$(id -u)" = 0 ]; then as_root=()
elif sudo -n true 2>/dev/null; then as_root=(sudo -n)
else as_root=(false); fi
if [ "${as_root[*]-}" = false ] || ! command -v apt-get >/dev/null; then
  echo "not installed: ${missing[*]}; the tests that talk to them are left out." >&2
  echo "To run them: apt-get install ${packages[*]}" >&2
  exit 0
fi

# Debian starts a service when its package is installed; this file forbids it meanwhile.
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
  printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee $policy >/dev/null
  "${as_root[@]}" chmod 755 $policy
  trap '"${as_root[@]}" rm -f $policy' EXIT
fi
export DEBIAN_FRONTEND=noninteractive
"${as_root[@]}" apt-get update -qq
"${as_root[@]}" apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null
