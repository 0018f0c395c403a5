#!/usr/bin/env bash
# ./dev bench codec: the arithmetic of the data path alone. Arguments go to Google Benchmark.
set -euo pipefail
[ "${1:-}" = --bin ] || { echo "usage: bench_codec.sh --bin BUILD_DIRECTORY [ARGS...]" >&2; exit 2; }
build=$2
shift 2
exec "$build/tests/bench/codec_bench" "$@"
