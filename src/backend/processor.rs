//! The processor as a device: its name and memory.

use std::fs;

use super::device_info::DeviceInfo;

/// Returns the processor, device 0 of the backend `cpu`.
pub(super) fn describe() -> DeviceInfo {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    DeviceInfo {
        index: 0,
        name: model_name(&read("/proc/cpuinfo"))
            .unwrap_or_else(|| format!("processor ({})", std::env::consts::ARCH)),
        memory_bytes: total_memory(&read("/proc/meminfo")),
        driver: None,
    }
}

/// Returns the model in Linux's `/proc/cpuinfo`; some architectures have none.
fn model_name(cpuinfo: &str) -> Option<String> {
    let lines = cpuinfo.lines().filter_map(|line| line.split_once(':'));
    let mut models = lines.filter(|(key, _)| key.trim() == "model name");
    models.next().map(|(_, name)| name.trim().to_string())
}

/// Returns the bytes of memory in Linux's `/proc/meminfo`.
fn total_memory(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|l| l.strip_prefix("MemTotal:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_and_memory_are_read_from_linux_files() {
        let cpuinfo = "processor\t: 0\nmodel name\t: A CPU @ 2.0GHz\n\nmodel name\t: another\n";
        assert_eq!(model_name(cpuinfo).as_deref(), Some("A CPU @ 2.0GHz"));
        assert_eq!(model_name(""), None);
        let meminfo = "MemTotal:       24611432 kB\nMemFree: 1 kB\n";
        assert_eq!(total_memory(meminfo), Some(24_611_432 * 1024));
        assert_eq!(total_memory("MemFree: 1 kB\n"), None);
    }
}
