# Nexus in a container: built in one stage, run in another as a user without rights.
#
#   docker build -t nexus .
#   docker run --rm -p 8000:8000 -p 8001:8001/udp nexus
#
# Multicast does not reach into most container networks: name other peers with NEXUS_MESH_SEEDS. Plain instructions
# only, so that engines without BuildKit build it too. A build that need not be fast where it runs takes less time with
# `--build-arg CARGO_PROFILE_RELEASE_LTO=off --build-arg CARGO_PROFILE_RELEASE_OPT_LEVEL=1`.

FROM rust:1-bookworm AS build
ARG CARGO_PROFILE_RELEASE_LTO
ARG CARGO_PROFILE_RELEASE_CODEGEN_UNITS
ARG CARGO_PROFILE_RELEASE_OPT_LEVEL
WORKDIR /build
# Dependencies first, against empty targets: they are built again only when the manifest changes. Tests and benchmarks
# stay empty.
COPY Cargo.toml Cargo.lock ./
RUN mkdir src && touch src/lib.rs \
 && sed -n 's/^path = "\(.*\.rs\)"$/\1/p' Cargo.toml | while read -r target; do \
      mkdir -p "$(dirname "$target")" && echo 'fn main() {}' > "$target"; \
    done \
 && cargo build --release --locked --bin nexus
COPY src src
RUN find src -name '*.rs' -exec touch {} + \
 && cargo build --release --locked --bin nexus

FROM debian:bookworm-slim
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /build/target/release/nexus /usr/local/bin/nexus
RUN useradd --uid 10001 --home-dir /var/lib/nexus --no-create-home --shell /usr/sbin/nologin nexus \
 && install -d -o nexus -g nexus -m 0700 /var/lib/nexus /var/lib/nexus/data
USER nexus
WORKDIR /var/lib/nexus
# The identity of the peer lives here: keep it over upgrades.
ENV NEXUS_DATA_DIR=/var/lib/nexus/data
VOLUME /var/lib/nexus/data
# HTTP for clients; QUIC for peers.
EXPOSE 8000/tcp 8001/udp
# Exit code 0 only when the server in this container answers.
HEALTHCHECK --interval=5s --timeout=5s --start-period=5s --retries=3 CMD ["nexus", "health", "--json"]
ENTRYPOINT ["nexus"]
CMD ["serve"]
