#!/usr/bin/env bash
# A thousand buyers want a hundred seats: examples/tickets/run.sh [FLAG...]
# Installs what is missing on Debian 12, builds, and runs the example with the flags
# (--help names them). Nothing is left running, however it ends.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)

"$root/tests/setup.sh" --databases
"$root/tests/build.sh" release concordatd concordat-rm seats tickets
exec "$root/.build/release/examples/tickets/tickets" "$@"
