//! Figures that the system has of this process: time, memory, files. Only the control plane reads them.

use std::fs;

/// Figures of this process.
#[derive(Clone, Debug, PartialEq)]
pub struct ProcessStats {
    /// User and system time, in seconds.
    pub cpu_seconds: f64,
    /// Bytes of memory in use.
    pub resident_bytes: u64,
    /// Bytes of address space in use.
    pub virtual_bytes: u64,
    /// File descriptors open.
    pub open_fds: u64,
    /// File descriptors that may be open; `None`: no limit.
    pub max_fds: Option<u64>,
    /// Threads.
    pub threads: u64,
    /// The start time, in seconds since 1970.
    pub start: f64,
}

impl ProcessStats {
    /// The current figures; `None` if there is no `/proc` as on Linux.
    pub fn read() -> Option<ProcessStats> {
        let stat = fs::read_to_string("/proc/self/stat").ok()?;
        let boot = fs::read_to_string("/proc/stat").ok()?;
        let page = rustix::param::page_size() as u64;
        let mut figures = parse(&stat, &boot, rustix::param::clock_ticks_per_second(), page)?;
        // The listing itself needs one descriptor.
        figures.open_fds = fs::read_dir("/proc/self/fd").ok()?.count().saturating_sub(1) as u64;
        figures.max_fds = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        Some(figures)
    }
}

/// Reads `/proc/self/stat` and `/proc/stat` (proc(5)). The second field of the first is the name in
/// parentheses and may contain anything, so fields are counted from the last `)`.
fn parse(stat: &str, boot: &str, ticks_per_second: u64, page: u64) -> Option<ProcessStats> {
    let fields: Vec<&str> = stat[stat.rfind(')')? + 1..].split_ascii_whitespace().collect();
    // `number` is the field's number in proc(5). The first field here is the third there.
    let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
    let boot: u64 = boot.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()?;
    let seconds = |ticks: u64| ticks as f64 / ticks_per_second as f64;
    Some(ProcessStats {
        cpu_seconds: seconds(field(14)? + field(15)?),
        resident_bytes: field(24)? * page,
        virtual_bytes: field(23)?,
        open_fds: 0,
        max_fds: None,
        threads: field(20)?,
        start: boot as f64 + seconds(field(22)?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_behind_a_name_with_parentheses() {
        let stat = "7 (a) (b c) S 1 7 7 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 5 0 1000 8192000 300 18446744073709551615";
        let figures = parse(stat, "cpu 1 2\nbtime 1700000000\n", 100, 4096).unwrap();
        assert_eq!(figures.cpu_seconds, 3.0);
        assert_eq!(figures.threads, 5);
        assert_eq!(figures.start, 1_700_000_010.0);
        assert_eq!((figures.virtual_bytes, figures.resident_bytes), (8_192_000, 300 * 4096));
        assert_eq!(parse("7 (x) S 1", "btime 1\n", 100, 4096), None);
        assert_eq!(parse("", "", 100, 4096), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_has_figures() {
        let figures = ProcessStats::read().unwrap();
        assert!(figures.resident_bytes > 0 && figures.open_fds > 2 && figures.threads > 0, "{figures:?}");
    }
}
