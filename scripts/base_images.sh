#!/usr/bin/env bash
# Makes local stand-ins for the two base images of the Dockerfile (debian:bookworm-slim, rust:1-bookworm) from Debian's
# packages and this machine's Rust toolchain, for machines that reach no image registry. Where the images can be pulled,
# this script is not needed. Images that are there already are left as they are.
#
# usage: scripts/base_images.sh [WORK_DIRECTORY]        needs root, debootstrap, and docker (ENGINE=docker, the default)
#                                                        or buildah (ENGINE=buildah, needs no daemon)
set -euo pipefail

cd "$(dirname "$0")/.."
work=${1:-target/base-images}
engine=${ENGINE:-docker}
runtime=debian:bookworm-slim
builder=rust:1-bookworm
mkdir -p "$work"
work=$(cd "$work" && pwd)

buildah_here() { buildah --root "$work/store" --runroot "$work/run" --storage-driver vfs "$@"; }

have() {
  case $engine in
    docker) docker image inspect "$1" >/dev/null 2>&1 ;;
    buildah) buildah_here inspect --type image "docker.io/library/$1" >/dev/null 2>&1 ;;
    *) echo "unknown ENGINE '$engine': docker or buildah" >&2; exit 2 ;;
  esac
}

have "$runtime" && have "$builder" && { echo "$runtime and $builder are there"; exit 0; }

if ! have "$runtime"; then
  echo "making $runtime with debootstrap"
  if [ ! -e "$work/debian.done" ]; then
    rm -rf "$work/debian"
    debootstrap --variant=minbase bookworm "$work/debian" >"$work/debootstrap.log" 2>&1 \
      || { tail -n 20 "$work/debootstrap.log" >&2; exit 1; }
    rm -f "$work"/debian/var/cache/apt/archives/*.deb "$work"/debian/var/lib/apt/lists/*_*
    touch "$work/debian.done"
  fi
  case $engine in
    docker) tar -C "$work/debian" -c . | docker import - "$runtime" >/dev/null ;;
    buildah)
      container=$(buildah_here from scratch)
      buildah_here add -q "$container" "$work/debian" / >/dev/null
      buildah_here commit -q "$container" "docker.io/library/$runtime" >/dev/null
      buildah_here rm "$container" >/dev/null
      ;;
  esac
fi

if ! have "$builder"; then
  echo "making $builder from $runtime and $(rustc --version)"
  context=$work/builder
  rm -rf "$context" && mkdir -p "$context/toolchain"
  sysroot=$(rustc --print sysroot)
  cp -a "$sysroot/bin" "$sysroot/lib" "$context/toolchain/"
  # Behind an inspecting proxy the registry is trusted only with this machine's own certificates.
  cp /etc/ssl/certs/ca-certificates.crt "$context/"
  printf '%s\n' \
    "FROM $runtime" \
    'COPY ca-certificates.crt /etc/ssl/certs/ca-certificates.crt' \
    'RUN apt-get update -q && apt-get install -y -q --no-install-recommends gcc g++ libc6-dev make cmake perl pkg-config && rm -rf /var/lib/apt/lists/*' \
    'COPY toolchain /usr/local/rust' \
    'ENV PATH=/usr/local/rust/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin CARGO_HOME=/usr/local/cargo' \
    >"$context/Dockerfile"
  case $engine in
    docker) DOCKER_BUILDKIT=0 docker build -q --pull=false --network=host -t "$builder" "$context" >/dev/null ;;
    buildah) buildah_here bud --isolation chroot --pull=never -q -t "docker.io/library/$builder" "$context" >/dev/null ;;
  esac
  rm -rf "$context"
fi
echo "made $runtime and $builder for $engine"
