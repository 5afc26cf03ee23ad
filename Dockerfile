# The image: one static binary and the certificate authorities.
#   docker build -t smolgate .

# ---- build: a binary that needs no library at run time ----
# glibc >= 2.34 has name resolution built in, so a static binary resolves names like any other.
FROM rust:1.95-slim-bookworm AS build

RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates \
 && rm -rf /var/lib/apt/lists/*

WORKDIR /build
# With an explicit --target, these flags do not apply to procedural macros, which cannot be static.
ENV RUSTFLAGS="-C target-feature=+crt-static"

# Dependencies first, with empty programs for the manifest. This layer stays until Cargo.lock changes.
COPY Cargo.toml Cargo.lock build.rs ./
RUN mkdir -p src benches/comparison && touch src/lib.rs \
 && echo 'fn main() {}' | tee src/main.rs benches/micro.rs benches/comparison/forwarder.rs benches/comparison/pace.rs \
    > benches/comparison/handshake.rs \
 && cargo build --release --locked --target "$(uname -m)-unknown-linux-gnu"

# The copied files may be older than the empty programs, and cargo compares times.
COPY src src
RUN touch src/main.rs src/lib.rs \
 && cargo build --release --locked --target "$(uname -m)-unknown-linux-gnu" \
 && mkdir -p /image/etc/ssl/certs \
 && cp "target/$(uname -m)-unknown-linux-gnu/release/smolgate" /image/smolgate \
 && cp /etc/ssl/certs/ca-certificates.crt /image/etc/ssl/certs/ \
 && mkdir -m 700 /own

# ---- image ----
FROM scratch
LABEL org.opencontainers.image.title="smolgate" \
      org.opencontainers.image.description="A small reverse proxy on the smol stack" \
      org.opencontainers.image.licenses="MIT"
COPY --from=build /image /
# Folders for certificates. A new volume there belongs to the same user.
COPY --from=build --chown=65532:65532 /own /certs
COPY --from=build --chown=65532:65532 /own /var/lib/smolgate
# A number, because there is no /etc/passwd. It may bind ports under 1024, because Docker allows that to every
# user of a container.
USER 65532:65532
EXPOSE 8020 8021 42007
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s CMD ["/smolgate", "healthcheck"]
ENTRYPOINT ["/smolgate"]
