#!/usr/bin/env bash
# Makes a machine able to build, run and test Petrel: what is missing is installed from Debian's
# packages when we are root on Debian or Ubuntu, and named otherwise. Does nothing the second time.
#
#   prepare.sh run    what building and running needs
#   prepare.sh test   and what the tests need on top: a browser, PostgreSQL, strace, Python, Go
set -euo pipefail
purpose=${1:?usage: prepare.sh run|test}

missing=()   # Debian packages
advice=()    # for everybody else

need() { # command, package, what it is for
  command -v "$1" >/dev/null 2>&1 || { missing+=("$2"); advice+=("$1 ($3)"); }
}

at_least() { # have, want: is version `have` not older than `want`?
  [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n1)" = "$2" ]
}

need cc build-essential "linker and C compiler, for zstd and SQLite"
need make make "this build"
need git git "version stamp"
need curl curl "checks"
need node nodejs "builds the web UI; 20.19 or later"
command -v npm >/dev/null 2>&1 || { missing+=(npm); advice+=("npm (fetches the UI's packages and the engine)"); }
if [ "$purpose" = test ]; then
  python3 -c 'import venv, ensurepip' 2>/dev/null || { missing+=(python3-venv); advice+=("python3 with venv (an instrumented application)"); }
  need go golang-go "an instrumented application; 1.25 or later"
  need chromium chromium "the browser of the end-to-end tests"
  need strace strace "injects disk faults"
  need pkill procps "kills an engine under its aggregator"
  need xfs_io xfsprogs "cuts the power of a file system"
  need ip iproute2 "a network of its own, with little bandwidth"
  need nft nftables "loses packets"
  if ! ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1; then
    missing+=(postgresql)
    advice+=("postgresql (the metadata tests start their own server)")
    # Only the programs are wanted, not a server that starts at boot.
    conf=/etc/postgresql-common/createcluster.conf
    [ "$(id -u)" = 0 ] && [ ! -e "$conf" ] && mkdir -p "${conf%/*}" && echo 'create_main_cluster = false' >"$conf"
  fi
fi

# Guests are built for wasm32. rustup's target is used where it is installed or can be added;
# Debian's rustc-web with the standard library's sources builds the same elsewhere.
wasm_target() { rustup target list --installed 2>/dev/null | grep -qx wasm32-unknown-unknown; }
if ! wasm_target && ! timeout 60 rustup target add wasm32-unknown-unknown >/dev/null 2>&1; then
  [ -e /usr/lib/rustlib/src/rust/library ] || [ -e /usr/share/doc/rust-web-src ] || { missing+=(rustc-web rust-web-src); advice+=("the wasm32-unknown-unknown target: rustup target add wasm32-unknown-unknown"); }
  command -v wasm-ld-19 >/dev/null 2>&1 || { missing+=(lld-19); }
fi

if [ ${#missing[@]} -gt 0 ]; then
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "installing: ${missing[*]}"
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
  else
    echo 'Petrel needs these, which are not installed:' >&2
    printf '  %s\n' "${advice[@]}" >&2
    echo "On Debian or Ubuntu: sudo apt-get install ${missing[*]}" >&2
    exit 1
  fi
fi

command -v cargo >/dev/null 2>&1 || {
  echo 'Petrel needs Rust 1.95 or later: https://rustup.rs, or on Debian: apt-get install cargo-web' >&2
  exit 1
}
rust=$(rustc --version | cut -d' ' -f2)
at_least "$rust" 1.95.0 || { echo "Petrel needs Rust 1.95 or later, this is $rust: rustup update stable" >&2; exit 1; }
node=$(node --version | tr -d v)
at_least "$node" 20.19.0 || { echo "The UI's build needs Node 20.19 or later, this is $node" >&2; exit 1; }
