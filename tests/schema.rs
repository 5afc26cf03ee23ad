//! `smolgate schema` tells of every key that the readers know, takes files that they take, and refuses the others.

// The hashes of `auth` are none without the feature.
#![cfg(all(feature = "auth", feature = "jwt"))]

mod support;

use std::process::Command;

use smolgate::config::{Inputs, MemoryInputs, load};
use support::golden::{Golden, golden_files, in_memory};
use support::keys::{MAPPINGS, Mapping, known_keys};
use support::schema::Schema;

#[test]
fn the_schema_has_the_keys_of_every_mapping_and_no_others() {
    let (known, schema) = (known_keys(), Schema::of("native").keys());
    assert!(known.keys().eq(schema.keys()), "{:?}, {:?}", known.keys(), schema.keys());
    for (what, keys) in known {
        assert_eq!(keys, schema[&what], "the keys of {what} on the left, those of its schema on the right");
    }
}

#[test]
fn every_key_is_taken_with_its_values() {
    let schema = Schema::of("native");
    for Mapping { what, around, rows } in MAPPINGS {
        for (key, before, after) in rows.iter().copied().flatten() {
            for inside in [before, after] {
                let taken = schema.check(&around.replace('@', inside));
                taken.unwrap_or_else(|error| panic!("`{key}` of {what}: {error}"));
            }
        }
    }
}

/// A list of lists is no value of any key.
#[test]
fn an_unknown_key_and_a_wrong_value_are_refused() {
    let schema = Schema::of("native");
    for Mapping { what, around, rows } in MAPPINGS {
        for (key, _, inside) in rows.iter().copied().flatten() {
            let unknown = around.replace('@', &format!("0000000000: x, {inside}"));
            assert!(schema.check(&unknown).is_err(), "an unknown key beside `{key}` of {what}");
            let wrong = around.replace('@', &format!("{key}: [[x]]"));
            assert!(schema.check(&wrong).is_err(), "a wrong value of `{key}` of {what}");
        }
    }
}

#[test]
fn files_that_load_are_taken() {
    let schema = Schema::of("native");
    let (mut taken, mut refused) = (0, 0);
    for Golden { path, input, .. } in golden_files("config", 30) {
        let memory = MemoryInputs::new()
            .env("API_HOST", "api.internal")
            .env("GATE_TOKEN", "sesame")
            .file("secrets/token", "sesame\n");
        let (memory, paths) = in_memory(memory, &input, "smolgate.yml");
        let loads = load(&paths, &memory).is_ok();
        for file in &paths {
            let text = memory.read(file).expect("a file");
            match schema.check(&text) {
                Ok(()) => taken += usize::from(loads),
                Err(error) if loads => panic!("{}: {error}", path.display()),
                Err(_) => refused += 1,
            }
        }
    }
    assert!(taken > 20 && refused > 10, "{taken} files were taken, {refused} refused");
}

#[test]
fn values_may_be_filled_in_where_the_reader_fills_them_in() {
    let schema = Schema::of("native");
    for text in [
        "workers: \"${env:WORKERS:-4}\"",
        "watch: \"${env:WATCH}\"",
        "log_level: \"${env:LEVEL:-info}\"",
        "shutdown_timeout: \"${env:SECONDS}s\"",
        "internal_api: { token: \"${file:token}\" }",
        "http_config: { port: \"${env:PORT}\", head_bytes_max: \"${env:KIB}KiB\", trusted_proxies: \"${env:NET}\" }",
        "http_routes: [{ host: \"${env:HOST}\", target: \"http://${env:API}:80\", pass_host: \"${env:PASS}\" }]",
    ] {
        schema.check(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    }
    for text in [
        "\"${env:KEY}\": 1",
        "http_config: \"${env:ALL}\"",
        "workers: \"$${env:WORKERS\"",
        "workers: \"many\"",
    ] {
        assert!(schema.check(text).is_err(), "{text}");
    }
}

#[test]
fn durations_sizes_and_numbers_have_their_form() {
    let schema = Schema::of("native");
    for (text, is_taken) in [
        ("shutdown_timeout: 0", true),
        ("shutdown_timeout: 1m30s", true),
        ("shutdown_timeout: 1.5s", false),
        ("shutdown_timeout: 5 s", true),
        ("shutdown_timeout: '5 '", false),
        ("http_config: { port: 1, idle_timeout: 0 }", false),
        ("http_config: { port: 1, idle_timeout: 60 }", true),
        ("http_config: { port: 1, max_body: 10 MB }", true),
        ("http_config: { port: 1, max_body: 10M }", false),
        ("http_config: { port: 1, max_body: unlimited }", true),
        ("http_config: { port: 1, max_body: unlimitted }", false),
        ("workers: 0", false),
        ("workers: 1024", true),
        ("workers: 1025", false),
        ("log_level: loud", false),
        ("x-anything: { a: [1] }", true),
        ("http_config: { port: [] }", false),
        ("tcp: { target: h:1 }", false),
    ] {
        assert_eq!(schema.check(text).is_ok(), is_taken, "{text}");
    }
}

#[test]
fn the_verb_prints_the_schema_of_a_format() {
    let run = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_smolgate")).arg("schema").args(arguments).output();
        output.expect("the program runs")
    };
    let native = run(&[]);
    assert!(native.status.success());
    let value: serde_json::Value = serde_json::from_slice(&native.stdout).expect("JSON");
    assert_eq!(value["$schema"], "http://json-schema.org/draft-07/schema#");
    assert_eq!(value["properties"]["max_connections"]["default"], 10_000);
    assert_eq!(native.stdout, run(&["--format", "native"]).stdout);
    assert_eq!(run(&["--format", "other"]).status.code(), Some(2));
}

#[cfg(feature = "compose")]
#[test]
fn labels_of_compose_files_are_known_in_both_forms() {
    let schema = Schema::of("compose");
    for (labels, is_taken) in [
        ("{ smolgate.host: a.test, smolgate.port: 80 }", true),
        ("{ smolgate.api.host: a.test, liteproxy.api.port: \"80\" }", true),
        ("{ smolgate.port.http: 80, smolgate.max_body: 1MiB, smolgate.passthrough: yes }", true),
        ("{ smolgate.port: \"${PORT}\", smolgate.body_timeout: \"$$x\" }", true),
        ("{ smolgate.health: /up, smolgate.balance: random, smolgate.sticky: at, smolgate.hold: 10s }", true),
        ("{ smolgate.balance: { hash: client } }", false),
        ("{ smolgate.health: { path: /up } }", false),
        ("{ smolgate.hots: a.test }", false),
        ("{ smolgate.api.hots: a.test }", false),
        ("{ smolgate.port: many }", false),
        ("{ smolgate.api.max_body: 1M }", false),
        ("{ smolgatehost: x, traefik.enable: true, other: null }", true),
        ("[smolgate.host=a.test, smolgate.api.port=80, other]", true),
        ("[smolgate.hots=a.test]", false),
        ("[{ smolgate.host: a.test }]", false),
        ("x", false),
    ] {
        for place in ["labels: @", "deploy: { labels: @, replicas: 2 }"] {
            let service = place.replace('@', labels);
            let text = format!("services: {{ a: {{ image: a, {service} }} }}\nvolumes: {{ x: }}\nx-y: 1");
            let checked = schema.check(&text);
            assert_eq!(checked.is_ok(), is_taken, "{text}: {checked:?}");
        }
    }
}
