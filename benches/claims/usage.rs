//! What a process has used, as the kernel tells.

use std::fs;
use std::time::Duration;

/// CPU time of all threads of a process, user and system; 10 ms is the clock's grain.
pub fn cpu(process_id: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{process_id}/stat")).expect("a process that runs");
    // The name, in parentheses, may hold blanks; utime and stime are the 12th and 13th field after it.
    let after_name = stat.rsplit_once(") ").expect("the name of a process").1;
    let ticks: u64 = after_name.split(' ').skip(11).take(2).map(|field| field.parse::<u64>().expect("ticks")).sum();
    Duration::from_secs_f64(ticks as f64 / rustix::param::clock_ticks_per_second() as f64)
}

/// Bytes of memory: now, and at its highest.
pub fn memory(process_id: u32) -> (u64, u64) {
    let status = fs::read_to_string(format!("/proc/{process_id}/status")).expect("a process that runs");
    let kilobytes = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("a line of memory");
        line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number of kB")
    };
    (kilobytes("VmRSS:") * 1024, kilobytes("VmHWM:") * 1024)
}
