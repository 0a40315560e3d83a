#!/usr/bin/env bash
# Checks everything on a fresh Debian 12 machine: tests/run.sh [--quick]
#
# Format and layering, a release build and all tests in it, then AddressSanitizer
# with UndefinedBehaviorSanitizer, and ThreadSanitizer, on the tests that can show
# something there. --quick leaves the sanitizers out.
# The last line is "N passed, N failed"; the exit status is 0 only if none failed.
set -uo pipefail
cd "$(dirname "$0")/.." || exit

quick=no
case "${1:-}" in
  "") ;;
  --quick) quick=yes ;;
  *)
    echo "usage: tests/run.sh [--quick]" >&2
    exit 2
    ;;
esac

passed=0
failed=0
child=

say() { printf '== [%4d s] %s\n' "$SECONDS" "$*"; }

# The verdict is printed however the run ends.
finish() {
  echo "$passed passed, $failed failed"
  [ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
  exit
}

# shellcheck disable=SC2317  # called by the trap
# Each step is a process group of its own, ended as a whole: nothing stays behind.
stop() {
  trap - INT TERM
  [ -z "$child" ] || kill -TERM -- "-$child" 2>/dev/null
  wait
  say "stopped"
  failed=$((failed + 1))
  finish
}
trap stop INT TERM

run() {
  set -m
  "$@" &
  child=$!
  set +m
  local status
  wait "$child"
  status=$?
  child=
  return "$status"
}

# One check that is a single command: counts as one test.
check() {
  local name=$1
  shift
  say "$name"
  if run "$@"; then
    passed=$((passed + 1))
  else
    say "$name FAILED"
    failed=$((failed + 1))
  fi
}

# shellcheck disable=SC2317  # called by way of check
sources() {
  if [ -e .git ]; then
    git ls-files '*.h' '*.cc'
  else
    find coordinator participant thrift wal tests examples -name '*.h' -o -name '*.cc'
  fi
}
# shellcheck disable=SC2317
check_format() { sources | xargs -r clang-format-14 --dry-run -Werror; }

# build_and_test KIND TARGET CTEST-OPTION...
build_and_test() {
  local kind=$1 target=$2 results=.build/$1/results.xml
  shift 2
  say "$kind: build"
  if ! run tests/build.sh "$kind" "$target"; then
    say "$kind: the build FAILED"
    failed=$((failed + 1))
    finish
  fi
  say "$kind: tests"
  rm -f "$results"
  run ctest --test-dir ".build/$kind" --output-on-failure --parallel 2 \
    --no-tests=error --output-junit "$PWD/$results" \
    --test-output-size-passed 100000000 --test-output-size-failed 100000000 "$@"
  local status=$? good bad
  read -r good bad < <(python3 tests/count_results.py "$results")
  # A ctest that failed without saying which test did is a failure all the same.
  if [ "$status" -ne 0 ] && [ "${bad:-0}" -eq 0 ]; then bad=1; fi
  passed=$((passed + ${good:-0}))
  failed=$((failed + ${bad:-1}))
  say "$kind: ${good:-0} passed, ${bad:-1} failed"
}

say "setup"
if ! tests/setup.sh --tests; then
  failed=1
  finish
fi
check "format" check_format
check "layering" python3 tests/layering/check.py .
build_and_test release all --exclude-regex '^layering$'
if [ "$quick" = no ]; then
  build_and_test asan asan_tests --label-regex '^asan$'
  build_and_test tsan tsan_tests --label-regex '^tsan$'
fi
say "done"
finish
