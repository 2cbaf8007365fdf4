#!/usr/bin/env bash
# The whole system on one machine: aggregator with its embedded engine, an agent that redacts, and
# an application that keeps sending. Ctrl-C stops all of it; what was stored stays in ./data.
set -euo pipefail
cd "$(dirname "$0")/.."
bin=${PETREL_BIN:-target/release}
data=${PETREL_DATA:-$PWD/data}
http=${PETREL_HTTP_PORT:-14318} grpc=${PETREL_GRPC_PORT:-14317}
otlp_grpc=${PETREL_OTLP_GRPC_PORT:-4317} otlp_http=${PETREL_OTLP_HTTP_PORT:-4318} admin=${PETREL_ADMIN_PORT:-14319}
umask 077
mkdir -p "$data"

for port in "$http" "$grpc" "$otlp_grpc" "$otlp_http" "$admin"; do
  if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
    echo "port $port is in use: stop what listens there, or choose others (PETREL_HTTP_PORT, PETREL_GRPC_PORT, PETREL_OTLP_GRPC_PORT, PETREL_OTLP_HTTP_PORT, PETREL_ADMIN_PORT)" >&2
    exit 1
  fi
done

secret() { head -c 24 /dev/urandom | base64 | tr -d '/+=' | cut -c1-20; }
if [ ! -f "$data/petrel.yml" ]; then
  cat >"$data/petrel.yml" <<YML
# Made by 'make run'. Every key is explained in packaging/petrel.yml.
data_dir: $data/aggregator
listen:
  grpc: { addr: "127.0.0.1:$grpc" }
  http: { addr: "127.0.0.1:$http" }
site: { addr: "http://localhost:$http" }
projects:
  - { id: 1, name: "Demo shop", token: "$(secret)", pinned_attrs: [service.name, host.name, deployment.environment.name] }
auth:
  users:
    - { email: admin@localhost, name: Admin, password: "$(secret)" }
YML
fi
token=$(sed -n 's/.*token: "\([^"]*\)".*/\1/p' "$data/petrel.yml")
password=$(sed -n 's/.*password: "\([^"]*\)".*/\1/p' "$data/petrel.yml")
dsn="http://$token@localhost:$http?grpc=$grpc"
cat >"$data/agent.yaml" <<YML
# Made by 'make run'. Every key is explained in packaging/agent.yaml.
dsn: http://$token@127.0.0.1:$http?grpc=$grpc
receivers:
  otlp:
    grpc: { endpoint: 127.0.0.1:$otlp_grpc }
    http: { endpoint: 127.0.0.1:$otlp_http }
admin: { endpoint: 127.0.0.1:$admin }
processors:
  - { name: redact, plugin: $PWD/target/plugins/redact.wasm, on_error: closed, config: {} }
spool: { dir: $data/agent, max_bytes: 2GiB, when_full: evict_oldest }
YML

running=()
stop() {
  trap - EXIT INT TERM
  echo
  echo 'stopping...'
  # The sender first, so that nobody is cut off in the middle.
  for ((i = ${#running[@]} - 1; i >= 0; i--)); do
    kill "${running[$i]}" 2>/dev/null || true
    wait "${running[$i]}" 2>/dev/null || true
  done
  echo "stopped; data stays in $data"
}
trap stop EXIT
trap 'exit 0' INT TERM # asked to stop, and did

start() { # name, command...
  local name=$1
  shift
  # In a process group of its own: Ctrl-C reaches us, and we stop them in order.
  setsid "$@" >"$data/$name.log" 2>&1 &
  running+=($!)
}
until_ok() { # url, name, pid
  for _ in $(seq 300); do
    curl -fsS -o /dev/null "$1" 2>/dev/null && return
    kill -0 "$3" 2>/dev/null || break
    sleep 0.1
  done
  echo "$2 did not come up; the end of $data/$2.log:" >&2
  tail -n 20 "$data/$2.log" >&2
  exit 1
}

PETREL_ENGINE_LIB=$PWD/target/engine/libchdb.so start aggregator "$bin/petrel-aggregator" serve --config "$data/petrel.yml"
until_ok "http://127.0.0.1:$http/ready" aggregator "${running[-1]}"
start agent "$bin/petrel-agent" run --config "$data/agent.yaml"
until_ok "http://127.0.0.1:$admin/health" agent "${running[-1]}"
start demo "$bin/demo" "http://127.0.0.1:$otlp_http"

cat <<TEXT

  Petrel is running.

    UI        http://localhost:$http
    login     admin@localhost  /  $password
    DSN       $dsn

    send      OTLP to the agent: localhost:$otlp_grpc (gRPC) or http://localhost:$otlp_http (HTTP)
    ask       $bin/petrel-agent status --config $data/agent.yaml
              $bin/petrel-aggregator sql --config $data/petrel.yml "SELECT service_name, count() FROM spans GROUP BY 1"
    logs      $data/{aggregator,agent,demo}.log

  A demo shop is sending traces, logs and metrics through the agent. Ctrl-C stops everything.
TEXT
wait -n "${running[@]}" || true
for name in aggregator agent demo; do echo "--- $name"; tail -n 5 "$data/$name.log"; done >&2
echo 'one of the processes ended by itself; see above' >&2
exit 1
