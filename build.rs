//! Leaves out of a release what the program would carry and never look at: 0.65 MB. It does nothing else.
//!
//! Whether that can be done depends on the linker and on the C library, and both are the builder's choice. So each way
//! is tried: an empty program is linked in this way and started. If that fails, the release is built without it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs, io};

/// Relocations packed, 24 bytes to a few bits each: glibc starts such a program since 2.36, musl since 1.2.4.
const PACKED_RELOCATIONS: &str = "-Wl,-z,pack-relative-relocs";

/// Functions of the same instructions once; nothing here goes by the address of a function.
const IDENTICAL_CODE_FOLDED: &str = "-Wl,--icf=all";

/// The tables by which a panic unwinds. Ours ends the process instead (`panic = "abort"`).
const NO_UNWIND_TABLES: &str =
    "SECTIONS { /DISCARD/ : { *(.eh_frame .eh_frame_hdr .gcc_except_table*) } } INSERT AFTER .text;\n";

fn main() -> io::Result<()> {
    println!("cargo:rerun-if-changed=build.rs");
    // Who asks for debug information wants to look inside, and a debugger unwinds by the tables too.
    let plain = variable("PROFILE") == "release" && variable("DEBUG") == "false";
    // What is built for another machine cannot be started here.
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

/// Whether an empty program starts that is built as ours will be, and linked in these ways.
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

/// A variable that cargo sets; empty where it does not.
fn variable(name: &str) -> String {
    env::var(name).unwrap_or_default()
}
