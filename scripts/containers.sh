#!/usr/bin/env bash
# Builds the image, brings the compose cluster up, runs the curl lines of docker-compose.yml from this host as they are
# printed there, kills one peer, checks that the others go on, and takes everything down again.
#
# usage: scripts/containers.sh
# BASE_IMAGES=1   first make the base images here (scripts/base_images.sh): for machines that can pull none
# KEEP=1          leave the cluster up
# QUICK=1         an image that is built sooner and runs slower
set -euo pipefail

cd "$(dirname "$0")/.."
export NEXUS_IMAGE=${NEXUS_IMAGE:-nexus:local} COMPOSE_PROJECT_NAME=${COMPOSE_PROJECT_NAME:-nexus-containers}
# The engine of a machine without BuildKit builds the same file.
docker buildx version >/dev/null 2>&1 || export DOCKER_BUILDKIT=0
if docker compose version >/dev/null 2>&1; then compose=(docker compose); else compose=(docker-compose); fi

say() { printf '\n== %s\n' "$*"; }

fail() {
  printf 'containers: %s\n' "$*" >&2
  "${compose[@]}" ps >&2 || true
  "${compose[@]}" logs --tail=40 >&2 || true
  exit 1
}

# until SECONDS WHAT COMMAND...
until_true() {
  local end=$((SECONDS + $1)) what=$2
  shift 2
  until "$@" >/dev/null 2>&1; do
    [ "$SECONDS" -lt "$end" ] || fail "not in time: $what"
    sleep 0.2
  done
}

healthy() { [ "$(docker inspect -f '{{.State.Health.Status}}' "$("${compose[@]}" ps -q "$1")")" = "$2" ]; }
lists() { curl -fsS -m 5 "http://127.0.0.1:$1/v1/models" | grep -q "\"$2\""; }

ask() { # PORT MODEL: prints the status and the peer that answered
  curl -sS -m 10 -o /dev/null -D - "http://127.0.0.1:$1/v1/chat/completions" -H 'content-type: application/json' \
    -d "{\"model\":\"$2\",\"max_tokens\":4,\"messages\":[{\"role\":\"user\",\"content\":\"Hello.\"}]}" |
    tr -d '\r' | awk 'NR == 1 { status = $2 } tolower($1) == "x-nexus-peer:" { peer = $2 } END { print status, peer }'
}

down() { "${compose[@]}" down --volumes --timeout 12 >/dev/null 2>&1 || true; }

[ "${BASE_IMAGES:-0}" = 1 ] && { say "base images"; ENGINE=docker scripts/base_images.sh; }

say "build"
arguments=()
[ "${QUICK:-0}" = 1 ] && for setting in LTO=off CODEGEN_UNITS=16 OPT_LEVEL=1; do
  arguments+=(--build-arg "CARGO_PROFILE_RELEASE_$setting")
done
docker build --network=host "${arguments[@]}" -t "$NEXUS_IMAGE" .
docker image inspect -f 'user {{.Config.User}}, {{.Size}} bytes' "$NEXUS_IMAGE"
[ "$(docker image inspect -f '{{.Config.User}}' "$NEXUS_IMAGE")" = nexus ] || fail "the image runs as root"

say "up"
down
[ "${KEEP:-0}" = 1 ] || trap down EXIT
"${compose[@]}" up --detach --no-build
for peer in one two three; do until_true 60 "$peer is healthy" healthy "$peer" healthy; done
for port in 8001 8002 8003; do
  for model in shared only-on-one only-on-two only-on-three; do
    until_true 30 "port $port lists $model" lists "$port" "$model"
  done
done

say "the printed lines"
count=0
while IFS= read -r line; do
  echo "$ $line"
  answer=$(bash -c "${line/curl /curl -sS -f -m 20 }") || fail "it failed: $line"
  printf '%s\n' "$answer" | head -c 400
  echo
  count=$((count + 1))
done < <(sed -n 's/^#  *\(curl .*\)$/\1/p' docker-compose.yml)
[ "$count" -ge 5 ] || fail "only $count lines found in docker-compose.yml"
[ "$(ask 8002 only-on-three)" = "200 three" ] || fail "two does not answer for three: $(ask 8002 only-on-three)"

say "the health check tells the truth"
"${compose[@]}" exec -T one nexus health --json >/dev/null || fail "the health check of a peer that answers fails"
docker run --rm --entrypoint nexus "$NEXUS_IMAGE" health --json >/dev/null 2>&1 && fail "the health check passes with no server"

say "kill one"
"${compose[@]}" kill two
for port in 8001 8003; do
  for model in shared only-on-one only-on-three; do
    answer=$(ask "$port" "$model")
    [ "${answer%% *}" = 200 ] || fail "port $port, model $model, with two dead: $answer"
  done
done
answer=$(ask 8001 only-on-two)
case ${answer%% *} in 404 | 502 | 503) ;; *) fail "a model of the dead peer: $answer" ;; esac

say "and back"
"${compose[@]}" start two
until_true 30 "one serves from two again" bash -c "$(declare -f ask); [ \"\$(ask 8001 only-on-two)\" = '200 two' ]"

say "down"
begin=$SECONDS
"${compose[@]}" stop --timeout 12
[ $((SECONDS - begin)) -lt 30 ] || fail "stopping took $((SECONDS - begin)) s"
for peer in one two three; do
  code=$(docker inspect -f '{{.State.ExitCode}}' "$("${compose[@]}" ps -aq "$peer" 2>/dev/null || "${compose[@]}" ps -q "$peer")")
  [ "$code" = 0 ] || fail "$peer ended with $code"
done
echo "containers: all good"
