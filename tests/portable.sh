#!/bin/sh
# A compiler wrapper that leaves out the Linux-only code of the crates of this workspace:
#   RUSTC_WORKSPACE_WRAPPER=tests/portable.sh cargo test
# A wrapper instead of RUSTFLAGS, because those would compile every dependency once more.
exec "$@" --cfg portable
