# Recipes for the first hour. `just` lists them; https://just.systems is the program.

_list:
    @just --list --unsorted

# A gate with a built-in configuration, and what to try
demo:
    cargo run --locked -- demo

# All tests; `just test --test watch` runs one file
test *arguments:
    cargo test --locked {{ arguments }}

# Format and lints
lint:
    cargo fmt --check
    cargo clippy --locked --all-targets -- -D warnings

# All checks, on a Debian machine, as root
ci:
    .ci/run

# The gate beside other proxies, in a minute or two; `just bench ""` takes longer
bench arguments="--short":
    benches/compare {{ arguments }}

# The image smolgate:local
image:
    docker build --tag smolgate:local .
