//! The memory of this process.

/// Resets the peak. Linux only.
pub(crate) fn reset_peak() {
    // Documented in proc(5). If it fails, `peak_mib` returns the peak since the process started, or
    // `None`.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

/// Returns the peak resident memory since [`reset_peak`] in MiB; `None` except on Linux.
pub(crate) fn peak_mib() -> Option<f64> {
    status_mib("VmHWM:")
}

/// Returns the resident memory in MiB; `None` except on Linux.
pub(crate) fn resident_mib() -> Option<f64> {
    status_mib("VmRSS:")
}

fn status_mib(entry: &str) -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(entry))?;
    let kib: f64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib / 1024.0)
}
