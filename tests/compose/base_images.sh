# Base images, or stand-ins for them where the registry cannot be reached. Sourced by ../compose.sh.
#
# A stand-in has the tag of the real image, so that Dockerfile and compose.yaml run unchanged. It is made of
# Debian packages and of the Rust toolchain and crates of this machine, and a label distinguishes it from the
# real one.
#
# shellcheck shell=bash
# shellcheck disable=SC2154 # `scratch` is the caller's temporary directory.

readonly stand_in_label=org.smolgate.stand-in

# ensure_image TAG: uses a local image, pulls it, or makes a stand-in.
ensure_image() {
    local tag=$1
    if docker image inspect "$tag" >/dev/null 2>&1; then
        echo "$tag: here already"
    elif timeout 300 docker pull --quiet "$tag" >/dev/null 2>&1; then
        echo "$tag: pulled"
    else
        echo "$tag: cannot be pulled, making a stand-in"
        case $tag in
            rust:*-slim-bookworm) stand_in_for_rust "$tag" ;;
            prom/prometheus:*) stand_in_for_prometheus "$tag" ;;
            *) echo "no stand-in is known for $tag" >&2 && return 1 ;;
        esac
    fi
}

# Debian with the packages of the real image, and the toolchain of this machine.
stand_in_for_rust() {
    local tag=$1 root version
    version=${tag#rust:} && version=${version%%-*}
    [[ $(rustc --version) == "rustc $version."* ]] || echo "note: $(rustc --version) stands in for $version"
    root=$(mktemp -d "$scratch/rust.XXXX")
    chmod 755 "$root"
    debootstrap --variant=minbase --include=ca-certificates,gcc,libc6-dev bookworm "$root" >"$scratch/debootstrap.log" 2>&1 ||
        { tail -20 "$scratch/debootstrap.log" >&2; return 1; }
    local sysroot home=$root/usr/local/cargo
    sysroot=$(rustc --print sysroot)
    mkdir -p "$home/registry" "$root/usr/local/rust"
    cp -a "$sysroot/bin" "$sysroot/lib" "$root/usr/local/rust/"
    ln -s /usr/local/rust/bin "$home/bin"
    # The crates of the lock file are here, because this revision was built on this machine.
    cargo fetch --quiet --locked
    cp -a "${CARGO_HOME:-$HOME/.cargo}"/registry/{index,cache} "$home/registry/"
    # This machine may trust more authorities than Debian, such as that of a registry mirror.
    cp /etc/ssl/certs/ca-certificates.crt "$home/authorities.crt"
    tar -C "$root" -c . | docker import \
        --change "LABEL $stand_in_label=true" \
        --change "ENV CARGO_HOME=/usr/local/cargo CARGO_HTTP_CAINFO=/usr/local/cargo/authorities.crt" \
        --change "ENV PATH=/usr/local/cargo/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" \
        - "$tag" >/dev/null
    rm -rf "$root"
}

# Debian's prometheus and promtool, with their libraries, started like those of the real image.
stand_in_for_prometheus() {
    local tag=$1 root
    root=$(mktemp -d "$scratch/prometheus.XXXX")
    mkdir -p "$root/image/bin" "$root/image/prometheus"
    chmod 777 "$root/image/prometheus"
    cp "$(command -v prometheus)" "$(command -v promtool)" "$root/image/bin/"
    ldd "$root"/image/bin/* | grep -o '/[^: ]*\.so[^ :]*' | sort -u |
        xargs -r -I{} cp --parents -L {} "$root/image/"
    cat >"$root/Dockerfile" <<-END
		FROM scratch
		LABEL $stand_in_label=true
		COPY image /
		USER 65534:65534
		EXPOSE 9090
		VOLUME /prometheus
		WORKDIR /prometheus
		ENTRYPOINT ["/bin/prometheus"]
		CMD ["--config.file=/etc/prometheus/prometheus.yml", "--storage.tsdb.path=/prometheus"]
	END
    docker build --quiet --tag "$tag" "$root" >/dev/null
    rm -rf "$root"
}
