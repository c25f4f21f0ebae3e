//! The most memory that this process has held.

/// Forgets the peak so far, where the system can (Linux).
pub(super) fn reset_peak() {
    // Documented in proc(5). Where it fails, `peak_mib` reports nothing.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

/// The largest resident memory since [`reset_peak`] in MiB, where the system says it (Linux).
pub(super) fn peak_mib() -> Option<f64> {
    status_mib("VmHWM:")
}

/// The resident memory in MiB, where the system says it (Linux).
pub(super) fn resident_mib() -> Option<f64> {
    status_mib("VmRSS:")
}

fn status_mib(entry: &str) -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(entry))?;
    let kib: f64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib / 1024.0)
}
