//! The machine that figures are made on: what it is, and what is installed there.

use std::path::{Path, PathBuf};

/// What the figures were made on.
pub(crate) fn about() -> String {
    let file = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let cpu = file("/proc/cpuinfo");
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or("\t: unknown");
    let kernel = file("/proc/sys/kernel/osrelease");
    let load = file("/proc/loadavg");
    format!(
        "{} cores, {}, Linux {}, load {} at the start",
        cores(),
        model.trim_start_matches(['\t', ':', ' ']),
        kernel.trim(),
        load.split(' ').next().unwrap_or_default(),
    )
}

/// Where `program` is, if it is installed.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    const PLACES: [&str; 5] = ["/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin", "/opt/homebrew/bin"];
    PLACES.iter().map(|place| Path::new(place).join(program)).find(|path| path.is_file())
}

/// How many cores there are.
pub(crate) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
