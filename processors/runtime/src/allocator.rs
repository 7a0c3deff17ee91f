//! What the process takes its memory from, where the feature `jemalloc` is on.

#[cfg(feature = "jemalloc")]
use tikv_jemalloc_ctl::{Access, AsName, Error, Mib};

#[cfg(feature = "jemalloc")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Returns memory that is free to the operating system, all at once.
///
/// jemalloc does so by and by, but in an arena only while threads use it, and those that fetched what is restored have
/// nothing to do once it is. With another allocator this does nothing.
pub fn release_freed() {
    #[cfg(feature = "jemalloc")]
    if let Err(error) = release_pages() {
        tracing::debug!(%error, "free memory stays with the process");
    }
}

/// With a decay time of zero an arena keeps no free pages. Lanes may do so at the same time, so the time that is set
/// again is not the one that was found.
#[cfg(feature = "jemalloc")]
fn release_pages() -> Result<(), Error> {
    let arenas: u32 = b"arenas.narenas\0".name().read()?;
    let usual: isize = b"arenas.dirty_decay_ms\0".name().read()?;
    let mut decay: Mib<[usize; 3]> = b"arena.0.dirty_decay_ms\0".name().mib()?;
    for arena in 0..arenas {
        decay[1] = arena as usize;
        // An arena that no thread has used yet is an error.
        if decay.write(0isize).is_ok() {
            decay.write(usual)?;
        }
    }
    Ok(())
}

#[cfg(all(test, feature = "jemalloc"))]
mod tests {
    use super::release_freed;

    /// Memory of the process that is resident, in bytes.
    fn resident() -> Option<usize> {
        let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
        let pages: usize = statm.split_whitespace().nth(1)?.parse().ok()?;
        Some(pages * rustix::param::page_size())
    }

    #[test]
    fn what_an_idle_thread_has_freed_is_returned() {
        const TAKEN: usize = 256 << 20;
        let (freed, wait) = std::sync::mpsc::channel();
        let (end, ended) = std::sync::mpsc::channel::<()>();
        let thread = std::thread::spawn(move || {
            drop((0..TAKEN / 1024).map(|_| vec![1_u8; 1024]).collect::<Vec<_>>());
            freed.send(()).unwrap();
            ended.recv().unwrap_err();
        });
        wait.recv().unwrap();
        let kept = resident().unwrap();
        assert!(kept > TAKEN / 2, "jemalloc kept {kept} bytes: the test shows nothing");
        release_freed();
        let left = resident().unwrap();
        assert!(left < kept - TAKEN / 2, "{left} of {kept} bytes are resident");
        drop(end);
        thread.join().unwrap();
    }
}
