#!/usr/bin/env bash
# Starts a mesh of two with a made-up vendor behind one of them, has every metric count something, and lets promtool read
# /metrics.
#
# usage: scripts/metrics.sh
# NEXUS_BIN   the binary to test   (target/release/nexus)
# Needs promtool (Debian: prometheus) and curl.
set -euo pipefail

cd "$(dirname "$0")/.."
nexus=${NEXUS_BIN:-${CARGO_TARGET_DIR:-target}/release/nexus}
[ -x "$nexus" ] || { echo "no binary at $nexus: cargo build --release, or set NEXUS_BIN" >&2; exit 1; }
place=$(mktemp -d)
node= vendor= other= far=
end() {
  [ -z "$other" ] || kill "$other" 2>/dev/null || true
  [ -z "$far" ] || kill "$far" 2>/dev/null || true
  [ -z "$node" ] || kill "$node" 2>/dev/null || true
  [ -z "$vendor" ] || kill "$vendor" 2>/dev/null || true
  rm -rf "$place"
}
trap end EXIT

fail() { printf 'metrics: %s\n' "$*" >&2; tail -n 20 "$place"/*.log >&2; exit 1; }

# until_true WHAT COMMAND...
until_true() {
  local end=$((SECONDS + 20)) what=$1
  shift
  until "$@" >/dev/null 2>&1; do
    [ "$SECONDS" -lt "$end" ] || fail "not in time: $what"
    sleep 0.1
  done
}

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
port=$(free_port) vendor_port=$(free_port) other_port=$(free_port) far_port=$(free_port) gossip_port=$(free_port)
url=http://127.0.0.1:$port
mesh_key=$(printf metrics | sha256sum | cut -c1-64)

"$nexus" synthetic --port "$vendor_port" --model made/up:1 --tokens-per-second 0 >"$place/vendor.log" 2>&1 &
vendor=$!
cat >"$place/nexus.toml" <<END
data_dir = '$place/data'
[server]
host = '127.0.0.1'
port = $port
[discovery]
enabled = false
[mesh]
mdns = false
listen = '127.0.0.1:$gossip_port'
key = '$mesh_key'
[budget]
monthly_limit_usd = 5.0
[routing.aliases]
'hard:1' = 'far:1'
[routing.fallbacks]
'gone:1' = ['far:1']
[[routing.policies]]
model_pattern = 'hard*'
min_tier = 5
[prices]
'made/up:1' = { input = 1.0, output = 2.0 }
[[backends]]
name = 'vendor "one"'
url = 'http://127.0.0.1:$vendor_port'
type = 'openai'
api_key_env = 'VENDOR_KEY'
END
"$nexus" synthetic --port "$far_port" --model far:1 --tokens-per-second 0 >"$place/far.log" 2>&1 &
far=$!
cat >"$place/other.toml" <<END
data_dir = '$place/other'
[server]
host = '127.0.0.1'
port = $other_port
[discovery]
enabled = false
[mesh]
mdns = false
peer_name = 'cellar'
listen = '127.0.0.1:0'
key = '$mesh_key'
seeds = ['127.0.0.1:$gossip_port']
[[backends]]
name = 'far'
url = 'http://127.0.0.1:$far_port'
type = 'generic'
END
"$nexus" serve --config "$place/other.toml" >"$place/other.log" 2>&1 &
other=$!
VENDOR_KEY=sk-1 "$nexus" serve --config "$place/nexus.toml" >"$place/node.log" 2>&1 &
node=$!
lists() { curl -fsS -m 5 "$url/v1/models" >"$place/models" && grep -q made/up "$place/models" && grep -q far:1 "$place/models"; }
until_true "the node lists both models" lists

key=$("$nexus" keys add laptop --monthly-limit-usd 1 --requests-per-minute 1 --config "$place/nexus.toml" 2>/dev/null) || fail "no key"
other_key=$("$nexus" keys add desktop --config "$place/nexus.toml" 2>/dev/null) || fail "no key without limits"
# ask KEY MODEL
ask() {
  curl -sS -m 10 -o /dev/null -w '%{http_code}\n' "$url/v1/chat/completions" -H "authorization: Bearer $1" \
    -H 'content-type: application/json' \
    -d "{\"model\":\"$2\",\"max_tokens\":4,\"messages\":[{\"role\":\"user\",\"content\":\"Hello.\"}]}"
}
founded() { curl -fsS -m 5 "$url/nexus/v1/budget" | grep -q '"founded_by":"'; }
until_true "the budget is founded" founded
seen=$(echo $(ask "$key" made/up:1; ask "$key" made/up:1; ask "$other_key" far:1
  ask "$other_key" gone:1; ask "$other_key" hard:1))
[ "$seen" = "200 429 200 200 503" ] || fail "answers were $seen"
spent() { curl -fsS -m 5 "$url/metrics" | grep -q '^nexus_key_spending_usd{.*key="laptop"} 0.00'; }
until_true "the key has spent something" spent

curl -fsS -m 5 "$url/metrics" >"$place/metrics"
# Two names are older than the habit that only counters end in _total.
promtool check metrics <"$place/metrics" >"$place/said" 2>&1 && code=0 || code=$?
odd=$(grep -vE '^nexus_(backends|tokens)_total non-(counter|histogram).*"_total" suffix$' "$place/said" || true)
[ "$code" = 0 ] || [ "$code" = 3 ] || fail "promtool cannot read it ($code): $odd"
[ -z "$odd" ] || fail "promtool complains: $odd"
empty=$(awk '/^# TYPE /{ names[$3] } !/^#/{ sub(/[{ ].*/, ""); sub(/_(bucket|sum|count)$/, ""); seen[$0] }
  END { for (name in names) if (!(name in seen)) print name }' "$place/metrics")
# Nothing here makes a peer refuse.
[ "$empty" = nexus_mesh_refusals_total ] || fail "nothing was counted in: $empty"
echo "metrics: promtool reads $(grep -c '^# TYPE ' "$place/metrics") families, all of them with samples but for refusals"
