#!/usr/bin/env bash
# Puts the embedded ClickHouse engine, libchdb.so, into a directory: fetch.sh DIR.
#
# The library comes from its npm package for this machine's processor, pinned by the integrity hash
# in package-lock.json, which npm verifies before it unpacks. Does nothing if it is there already.
set -euo pipefail
target=${1:?usage: fetch.sh DIR}
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$target"
target=$(cd "$target" && pwd)

pinned=$(sha256sum "$here/package-lock.json" | cut -d' ' -f1)
if [ -f "$target/libchdb.so" ] && [ "$(cat "$target/pinned" 2>/dev/null)" = "$pinned" ]; then
  exit 0
fi
scratch=$(mktemp -d "$target/fetch.XXXXXX")
trap 'rm -rf "$scratch"' EXIT
cp "$here/package.json" "$here/package-lock.json" "$scratch/"
(cd "$scratch" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error)
library=$(find "$scratch/node_modules/@chdb" -name libchdb.so | head -n1)
[ -n "$library" ] || { echo "there is no engine library for $(uname -m); configure a ClickHouse server instead (ch.addr)" >&2; exit 1; }
mv "$library" "$target/libchdb.so"
echo "$pinned" >"$target/pinned"
