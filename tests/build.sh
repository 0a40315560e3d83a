#!/usr/bin/env bash
# Configures and builds: tests/build.sh KIND [TARGET...]
#   KIND   release, or asan (address and undefined behaviour) or tsan (threads)
# The build is in .build/KIND and is kept: a second run builds what has changed. Sources
# of a target are compiled together (CONCORDAT_UNITY).
# Without targets everything is built.
set -euo pipefail
cd "$(dirname "$0")/.."

kind=${1:?usage: tests/build.sh release|asan|tsan [TARGET...]}
shift
clang=(-DCMAKE_C_COMPILER=clang-14 -DCMAKE_CXX_COMPILER=clang++-14
  -DCMAKE_BUILD_TYPE=Sanitized "-DCMAKE_CXX_FLAGS_SANITIZED=-O1 -g1")
case "$kind" in
  release) options=() ;;
  asan) options=("${clang[@]}" -DCONCORDAT_SANITIZE=address) ;;
  tsan) options=("${clang[@]}" -DCONCORDAT_SANITIZE=thread) ;;
  *)
    echo "build: no such kind: $kind (release, asan or tsan)" >&2
    exit 2
    ;;
esac

folder=.build/$kind
mkdir -p "$folder"
# Precompiled headers and ccache agree only when ccache ignores these.
export CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime
if [ ! -f "$folder/build.ninja" ]; then
  if ! cmake -S . -B "$folder" -G Ninja -DCONCORDAT_UNITY=ON "${options[@]}" >"$folder/configure.log" 2>&1; then
    cat "$folder/configure.log" >&2
    exit 1
  fi
fi

export NINJA_STATUS="[$kind %f/%t, %es] "
build=(ninja -C "$folder" -j "$(nproc)" "$@")
if [ -t 1 ]; then
  exec "${build[@]}"
fi
# Not a terminal: a line now and then, and whatever the compilers say.
"${build[@]}" | awk '
  /^ninja: Entering/ { next }
  /^\[/ { line = $0; if (++n % 25 == 1) { print; fflush() }; next }
  { print; fflush() }
  END { if (n % 25 != 1 && line != "") print line }'
