#!/usr/bin/env bash
# Installs what Concordat is built with on Debian 12:
#   tests/setup.sh [--databases | --tests]
# With --databases also the servers that examples and tests start, with --tests those and
# what only the checks need (clang, clang-format, Python Thrift).
# Does nothing, and needs no rights, when everything is there.
set -euo pipefail

packages=(
  g++ cmake ninja-build ccache pkg-config git python3
  thrift-compiler libthrift-dev libevent-dev libssl-dev zlib1g-dev
  libboost-log-dev libabsl-dev libsqlite3-dev libpq-dev libmariadb-dev nlohmann-json3-dev libcli11-dev
  libgtest-dev libgmock-dev libbenchmark-dev libdb5.3-dev libjemalloc-dev
)
# llvm-14 has the symbolizer: without it ThreadSanitizer cannot match the
# suppressions that name functions.
test_packages=(clang-14 clang-format-14 libclang-rt-14-dev llvm-14 openssl python3-thrift)
databases=(postgresql-15 mariadb-server)

case "${1:-}" in
  "") ;;
  --databases) packages+=("${databases[@]}") ;;
  --tests) packages+=("${databases[@]}" "${test_packages[@]}") ;;
  *)
    echo "usage: tests/setup.sh [--databases | --tests]" >&2
    exit 2
    ;;
esac

if ! command -v dpkg-query >/dev/null; then
  echo "setup: this is not a Debian machine. Install by hand what these packages" >&2
  echo "setup: of Debian 12 hold: ${packages[*]}" >&2
  exit 1
fi

missing=()
for package in "${packages[@]}"; do
  state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
  [ "$state" = installed ] || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

as_root=()
if [ "$(id -u)" -ne 0 ]; then
  if ! command -v sudo >/dev/null; then
    echo "setup: missing packages: ${missing[*]}" >&2
    echo "setup: run as root, or with sudo installed, or have them installed with:" >&2
    echo "setup:   apt-get install --no-install-recommends ${missing[*]}" >&2
    exit 1
  fi
  as_root=(sudo)
fi

echo "setup: installing ${missing[*]}"
log=$(mktemp)
# The servers' packages would start a server of the system's. Debian's way to tell them
# not to; a policy that is there already stays.
policy=/usr/sbin/policy-rc.d
clean_up() {
  rm -f "$log"
  [ -z "${our_policy:-}" ] || "${as_root[@]}" rm -f "$policy"
}
trap clean_up EXIT
if [ ! -e "$policy" ]; then
  our_policy=yes
  printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null
  "${as_root[@]}" chmod 755 "$policy"
fi
apt() { "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -y "$@" >"$log" 2>&1; }
if ! { apt update && apt install --no-install-recommends "${missing[@]}"; }; then
  cat "$log" >&2
  echo "setup: apt-get failed; Concordat is built for Debian 12 (bookworm)" >&2
  exit 1
fi
echo "setup: done"
