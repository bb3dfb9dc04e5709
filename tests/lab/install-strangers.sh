#!/usr/bin/env bash
# Installs what we did not write and tests talk to, for the Python that is named as first word:
# Debian packages, as root or with a sudo that asks no password, and Kerberos for Python. No
# service is started; each test starts what it needs on loopback and ends it. Without those
# rights it says what is missing, and the tests that need it are left out (or fail, where
# MAILMIG_TEST_STRICT is set).
set -euo pipefail

python=${1:-.venv/bin/python}
programs=(curl dig gcc ip kinit krb5-config ldapsearch ldbadd named nginx nsupdate openssl promtool samba
  samba-tool slapd swaks unshare)
packages=(bind9 bind9-dnsutils curl gcc iproute2 krb5-user ldap-utils ldb-tools libc6-dev
  libio-socket-ssl-perl libkrb5-dev libnet-ssleay-perl nginx openssl prometheus python3-dev samba samba-ad-dc
  samba-ad-provision slapd swaks util-linux winbind)

missing=()
for program in "${programs[@]}"; do
  PATH="$PATH:/usr/sbin:/sbin" command -v "$program" >/dev/null || missing+=("$program")
done

install_programs() {
  local as_root=(env) policy=/usr/sbin/policy-rc.d
  if [ "$(id -u)" != 0 ]; then
    sudo -n true 2>/dev/null || return 1
    as_root=(sudo -n env)
  fi
  command -v apt-get >/dev/null || return 1
  # Debian starts a service when its package is installed; this file forbids it meanwhile.
  if [ ! -e $policy ]; then
    printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee $policy >/dev/null
    "${as_root[@]}" chmod 755 $policy
    trap "${as_root[*]} rm -f $policy" EXIT
  fi
  "${as_root[@]}" apt-get update -qq
  "${as_root[@]}" DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null
}

if [ ${#missing[@]} -gt 0 ] && ! install_programs; then
  echo "not installed: ${missing[*]}; the tests that talk to them are left out." >&2
  echo "To run them: apt-get install ${packages[*]}" >&2
fi

# Both are built here, side by side, and in a hurry: they only pass on what the C library does.
"$python" -c 'import gssapi, krb5' 2>/dev/null && exit 0
wheels=$(mktemp -d)
building=()
for package in gssapi krb5; do
  CFLAGS=-O0 "$python" -m pip wheel --quiet --no-deps --wheel-dir "$wheels" "$package" \
    2>"$wheels/$package.log" &
  building+=($!)
done
failed=
for process in "${building[@]}"; do wait "$process" || failed=yes; done
if [ -n "$failed" ] || ! "$python" -m pip install --quiet --find-links "$wheels" \
  --editable '.[kerberos]' 2>"$wheels/install.log"; then
  echo "Kerberos for Python cannot be installed; the tests of Kerberos are left out:" >&2
  tail -n 3 "$wheels"/*.log >&2
fi
rm -rf "$wheels"
