//! What the kernel says about a process: CPU time and resident memory.

use std::collections::HashSet;
use std::fs;
use std::time::Duration;

use anyhow::Context as _;

/// CPU time that the live threads of a process have used, user and system together. It is the scheduler's own count in
/// nanoseconds, not clock ticks. A thread that has ended is no longer in it; neither the server nor the floor ends one
/// while it is measured.
pub(crate) fn cpu_time(pid: u32) -> anyhow::Result<Duration> {
    cpu_time_of(pid, "")
}

/// The same of those threads alone whose name begins so.
pub(crate) fn cpu_time_of(pid: u32, name: &str) -> anyhow::Result<Duration> {
    let mut total_ns = 0;
    for task in fs::read_dir(format!("/proc/{pid}/task")).with_context(|| format!("process {pid} has ended"))? {
        let folder = task?.path();
        // The first number of schedstat is the time on the CPU; a thread may end between the listing and here.
        let (Ok(own), Ok(text)) =
            (fs::read_to_string(folder.join("comm")), fs::read_to_string(folder.join("schedstat")))
        else {
            continue;
        };
        if !own.starts_with(name) {
            continue;
        }
        total_ns += text.split(' ').next().and_then(|n| n.parse::<u64>().ok()).context("an unreadable schedstat")?;
    }
    Ok(Duration::from_nanos(total_ns))
}

/// Resident memory of a process in bytes.
pub(crate) fn resident_bytes(pid: u32) -> anyhow::Result<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).with_context(|| format!("process {pid} has ended"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS in status")?;
    let kib: u64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kib * 1024)
}

/// Datagrams that the kernel dropped because a UDP socket of the process was full, since the sockets were opened.
pub(crate) fn receive_drops(pid: u32) -> anyhow::Result<u64> {
    let mut own = HashSet::new();
    for entry in fs::read_dir(format!("/proc/{pid}/fd")).with_context(|| format!("process {pid} has ended"))? {
        // One may be closed between the listing and here.
        let Ok(link) = entry.and_then(|entry| fs::read_link(entry.path())) else { continue };
        let name = link.to_string_lossy().into_owned();
        own.extend(name.strip_prefix("socket:[").and_then(|it| it.strip_suffix(']')?.parse::<u64>().ok()));
    }
    let mut drops = 0;
    for table in ["udp", "udp6"] {
        // Without IPv6 there is no table of it.
        let text = fs::read_to_string(format!("/proc/{pid}/net/{table}")).unwrap_or_default();
        for line in text.lines().skip(1) {
            let columns: Vec<&str> = line.split_whitespace().collect();
            let inode = columns.get(9).and_then(|inode| inode.parse().ok());
            if inode.is_some_and(|inode| own.contains(&inode)) {
                drops += columns.last().and_then(|count| count.parse::<u64>().ok()).unwrap_or(0);
            }
        }
    }
    Ok(drops)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_uses_both() {
        let pid = std::process::id();
        let before = cpu_time(pid).unwrap();
        let mut spent = 0_u64;
        while cpu_time(pid).unwrap() < before + Duration::from_millis(20) {
            spent = std::hint::black_box(spent + 1);
        }
        assert!(resident_bytes(pid).unwrap() > 100_000);
        assert!(cpu_time(u32::MAX).is_err());
        assert_eq!(cpu_time_of(pid, "no thread is called so").unwrap(), Duration::ZERO);
    }

    #[test]
    fn a_full_socket_is_counted() {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let before = receive_drops(std::process::id()).unwrap();
        for _ in 0..20_000 {
            socket.send_to(&[0; 1000], socket.local_addr().unwrap()).unwrap();
        }
        assert!(receive_drops(std::process::id()).unwrap() > before);
    }
}
