//! The program's own code in memory, on Linux.

use std::io;
use std::ops::Range;
use std::ptr::with_exposed_provenance_mut;

use rustix::mm::{Advice, madvise};

/// Unmaps the mapped code of the program and its libraries. If a page is used again, the kernel maps it again
/// from the page cache.
///
/// # Errors
/// If `/proc` is missing, or if the kernel refuses.
#[expect(unsafe_code, reason = "nothing else changes what is mapped")]
pub(crate) fn release_startup_code() -> io::Result<()> {
    let maps = std::fs::read_to_string("/proc/self/maps")?;
    for Range { start, end } in maps.lines().filter_map(code) {
        // SAFETY: a private mapping of a file that cannot be written has the content of the file. The kernel
        // reads its pages from there again, so a thread that runs in them sees no difference.
        unsafe { madvise(with_exposed_provenance_mut(start), end - start, Advice::LinuxDontNeed)? };
    }
    Ok(())
}

/// Returns the addresses of a line of `/proc/self/maps` if they are code of a file.
fn code(line: &str) -> Option<Range<usize>> {
    let mut fields = line.split_ascii_whitespace();
    let (start, end) = fields.next()?.split_once('-')?;
    let (permissions, inode) = (fields.next()?, fields.nth(2)?);
    let address = |text| usize::from_str_radix(text, 16).ok();
    (permissions == "r-xp" && inode != "0").then_some(address(start)?..address(end)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_code_out_of_files_is_let_go() {
        assert_eq!(
            code("55d0a000-55d0b000 r-xp 0017c000 fe:00 1031 /usr/bin/gate"),
            Some(0x55d0_a000..0x55d0_b000)
        );
        for other in [
            "55d0a000-55d0b000 r--p 0017c000 fe:00 1031 /usr/bin/gate",
            "55d0a000-55d0b000 rwxp 0017c000 fe:00 1031 /usr/bin/gate",
            "7ffd0000-7ffd2000 r-xp 00000000 00:00 0    [vdso]",
            "7ffd0000-7ffd2000 r-xp 00000000 00:00 0",
            "7ffd0000",
            "",
        ] {
            assert_eq!(code(other), None, "{other}");
        }
    }
}
