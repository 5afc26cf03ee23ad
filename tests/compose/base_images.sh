# Base images, or stand-ins for them where the registry cannot be reached. Sourced by ../compose.sh.
#
# A stand-in carries the tag of what it stands for, so that Dockerfile and compose.yaml run to the
# letter. It is made of Debian packages and of the Rust toolchain and crates of this machine, and
# has a label that tells it from the real one.
#
# shellcheck shell=bash
# shellcheck disable=SC2154 # `scratch` is the caller's directory for what does not stay.

readonly stand_in_label=org.smolgate.stand-in

# ensure_image TAG: there, pulled, or stood in for.
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

# Debian with the packages that the real image has too, and the toolchain of this machine.
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
    # The crates of the lock file are here already: a build of the same revision ran on this machine.
    cargo fetch --quiet --locked
    cp -a "${CARGO_HOME:-$HOME/.cargo}"/registry/{index,cache} "$home/registry/"
    # This machine may trust more than Debian does, such as a registry mirror of its own.
    cp /etc/ssl/certs/ca-certificates.crt "$home/authorities.crt"
    tar -C "$root" -c . | docker import \
        --change "LABEL $stand_in_label=true" \
        --change "ENV CARGO_HOME=/usr/local/cargo CARGO_HTTP_CAINFO=/usr/local/cargo/authorities.crt" \
        --change "ENV PATH=/usr/local/cargo/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" \
        - "$tag" >/dev/null
    rm -rf "$root"
}

# Debian's prometheus and promtool, with the libraries they load, started as the real image starts them.
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
