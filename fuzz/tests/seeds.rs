//! The invariants hold for all seeds, so a finding of the search is new. Each target has a binary that
//! compiles without a nightly toolchain.

use smolgate_fuzz::TARGETS;

#[test]
fn seeds_hold() {
    for target in TARGETS {
        let seeds = (target.seeds)();
        assert!(seeds.len() > 5, "{} has only {} seeds", target.name, seeds.len());
        for (number, seed) in seeds.iter().enumerate() {
            let held = std::panic::catch_unwind(|| (target.holds)(seed));
            assert!(held.is_ok(), "{}, seed {number}: {}", target.name, seed.escape_ascii());
        }
    }
}

/// Prefixes and single changed bytes: a search of one second, on every toolchain.
#[test]
fn neighbours_of_seeds_hold() {
    for target in TARGETS.iter().filter(|target| target.name != "configuration") {
        for seed in (target.seeds)().into_iter().filter(|seed| seed.len() < 200) {
            for at in 0..seed.len() {
                (target.holds)(&seed[..at]);
                let mut changed = seed.clone();
                changed[at] ^= 0x11;
                (target.holds)(&changed);
            }
        }
    }
}

#[test]
fn each_target_has_its_binary() {
    let manifest = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")).unwrap();
    for target in TARGETS {
        let path = format!("targets/{}.rs", target.name);
        assert!(manifest.contains(&format!("path = \"{path}\"")), "{path} is not in the manifest");
        let text = std::fs::read_to_string(format!("{}/{path}", env!("CARGO_MANIFEST_DIR"))).unwrap();
        assert!(text.contains(&format!("{}::holds", target.name)), "{path} checks something else");
    }
}
