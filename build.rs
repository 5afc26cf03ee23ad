//! Removes unused data from a release build: 0.65 MB. It does nothing else.
//!
//! Each way depends on the linker and on the C library, which the builder chooses. So each way is tried
//! first: an empty program is linked with it and started. If that fails, the release is built without it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs, io};

/// Packs relocations, 24 bytes to a few bits each. It needs glibc 2.36 or musl 1.2.4 at run time.
const PACKED_RELOCATIONS: &str = "-Wl,-z,pack-relative-relocs";

/// Merges functions with equal instructions. No code here compares the addresses of functions.
const IDENTICAL_CODE_FOLDED: &str = "-Wl,--icf=all";

/// Discards the tables for unwinding. A panic ends the process instead (`panic = "abort"`).
const NO_UNWIND_TABLES: &str =
    "SECTIONS { /DISCARD/ : { *(.eh_frame .eh_frame_hdr .gcc_except_table*) } } INSERT AFTER .text;\n";

fn main() -> io::Result<()> {
    println!("cargo:rerun-if-changed=build.rs");
    // Builds with debug information keep the tables, because a debugger unwinds by them too.
    let plain = variable("PROFILE") == "release" && variable("DEBUG") == "false";
    // A program for another machine cannot be started here.
    let here = variable("CARGO_CFG_TARGET_OS") == "linux" && variable("HOST") == variable("TARGET");
    if !(plain && here) {
        return Ok(());
    }
    let folder = PathBuf::from(variable("OUT_DIR"));
    let script = folder.join("no-unwind-tables.ld");
    fs::write(&script, NO_UNWIND_TABLES)?;
    let mut kept = Vec::new();
    let discarding = format!("-Wl,-T,{}", script.display());
    for way in [PACKED_RELOCATIONS.to_string(), IDENTICAL_CODE_FOLDED.to_string(), discarding] {
        kept.push(way);
        if !starts(&folder, &kept)? {
            kept.pop();
        }
    }
    for way in kept {
        println!("cargo:rustc-link-arg-bins={way}");
    }
    Ok(())
}

/// Whether an empty program starts that has the release's flags and is linked in these ways.
fn starts(folder: &Path, ways: &[String]) -> io::Result<bool> {
    let source = folder.join("empty.rs");
    let program = folder.join("empty");
    fs::write(&source, "fn main() {}\n")?;
    let mut rustc = Command::new(variable("RUSTC"));
    rustc.arg(&source).arg("-o").arg(&program).arg("--target").arg(variable("TARGET"));
    rustc.args(ways.iter().map(|way| format!("-Clink-arg={way}")));
    rustc.args(variable("CARGO_ENCODED_RUSTFLAGS").split('\x1f').filter(|flag| !flag.is_empty()));
    if let Ok(linker) = env::var("RUSTC_LINKER") {
        rustc.arg(format!("-Clinker={linker}"));
    }
    Ok(succeeds(&mut rustc) && succeeds(&mut Command::new(program)))
}

fn succeeds(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// A variable that cargo sets; empty if it is not set.
fn variable(name: &str) -> String {
    env::var(name).unwrap_or_default()
}
