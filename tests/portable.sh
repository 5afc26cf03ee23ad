#!/bin/sh
# A compiler for the crates of this workspace that leaves out what only Linux has:
#   RUSTC_WORKSPACE_WRAPPER=tests/portable.sh cargo test
# A wrapper and not RUSTFLAGS, which would compile every dependency once more.
exec "$@" --cfg portable
