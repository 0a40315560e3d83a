#!/usr/bin/env bash
# Moves money between banks while leaders are killed: examples/transfer/run.sh [FLAG...]
# Installs what is missing on Debian 12, builds, and runs the example with the flags
# (--help names them). Nothing is left running, however it ends.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)

case " $* " in
  *postgresql* | *mariadb*) "$root/tests/setup.sh" --databases ;;
  *) "$root/tests/setup.sh" ;;
esac
"$root/tests/build.sh" release concordatd concordat-rm transfer
exec "$root/.build/release/examples/transfer/transfer" "$@"
