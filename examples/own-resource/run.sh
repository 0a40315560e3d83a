#!/usr/bin/env bash
# Buys a seat and pays for it, both or neither: examples/own-resource/run.sh
# Builds if necessary, starts a coordinator, a bank (concordat-rm with a key-value shard)
# and the seat service in a temporary folder, buys seats, kills the service and checks
# again. Nothing is left running, however it ends.
#   run.sh --build-dir DIR   takes the programs from there and builds nothing
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
build=$root/.build/release
if [[ ${1:-} == --build-dir ]]; then
  build=$2
else
  "$root/tests/setup.sh"
  "$root/tests/build.sh" release concordatd concordat-rm seats book
fi
own=$build/examples/own-resource

dir=$(mktemp -d)
pids=()
finish() {
  for pid in "${pids[@]}"; do
    kill -9 "$pid" 2>/dev/null || continue
    while kill -0 "$pid" 2>/dev/null; do sleep 0.01; done
  done
  rm -rf "$dir"
}
trap finish EXIT

# start NAME LINE PROGRAM...: starts it in the background, waits until its output has LINE.
start() {
  local name=$1 line=$2
  shift 2
  : >"$dir/$name.log"
  "$@" >"$dir/$name.log" 2>&1 &
  last=$!
  pids+=("$last")
  # The shell would say "Killed" of what is killed here on purpose.
  disown "$last"
  for _ in $(seq 600); do
    grep -q "$line" "$dir/$name.log" && return
    kill -0 "$last" 2>/dev/null || break
    sleep 0.1
  done
  echo "$name did not start:" >&2
  cat "$dir/$name.log" >&2
  exit 1
}
free_port() {
  local port
  while :; do
    port=$((20000 + RANDOM % 12000))
    (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || break
  done
  echo "$port"
}
peers=127.0.0.1:$(free_port)
clients=127.0.0.1:$(free_port)
start coordinator "ready: clients" "$build/coordinator/daemon/concordatd" --id 1 \
  --members "1=$peers/$clients" --data-dir "$dir/coordinator" --segment-bytes 4194304
start bank "ready on" "$build/participant/daemon/concordat-rm" --listen 127.0.0.1:0 \
  --coordinators "$clients" --resource "bank=kv://$dir/bank"
seats() {
  start seats "ready on" "$own/seats" --coordinators "$clients" \
    --data-dir "$dir/seats"
}
seats

book() {
  echo "\$ book $*"
  "$own/book" --coordinators "$clients" "$@" || echo "(status $?)"
}
book open ann 30
book buy 12A ann 20 # a seat and its payment
book buy 12A ann 5  # it is sold
book buy 12B ann 20 # ann has 10 left: no money, so no seat
book show ann
echo "- the service is killed, and starts again"
kill -9 "$last"
seats
book buy 12B ann 10 # nobody holds it
book show ann
