//! A disk that is full soon: a tmpfs in a mount namespace of its own, which is gone with the process that holds it.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use super::round::Skipped;
use crate::support::{Process, eventually};

const START_DEADLINE: Duration = Duration::from_secs(60);

/// The disk.
pub struct SmallDisk {
    holder: Process,
    mounted_at: TempDir,
}

impl SmallDisk {
    /// A disk of so many bytes, where the system lets one be made.
    pub fn new(bytes: u64) -> Result<SmallDisk, Skipped> {
        let mounted_at = tempfile::Builder::new().prefix("thalweg-disk-").tempdir().unwrap();
        let mut command = Command::new("unshare");
        let script = format!("mount -t tmpfs -o size={bytes} none \"$0\" && echo mounted && exec cat");
        command.args(["--user", "--map-root-user", "--mount", "sh", "-c", &script]).arg(mounted_at.path());
        if Command::new("unshare").arg("--version").stdout(Stdio::null()).status().is_err() {
            return Err(Skipped("a small disk needs the program unshare".to_owned()));
        }
        // It ends when its standard input does: with this program, whatever becomes of it.
        let mut holder = Process::spawn_with_input("the holder of a small disk", command, Stdio::piped());
        let mounted = eventually(START_DEADLINE, "a small disk", || {
            let runs = holder.is_running();
            let mounted = holder.stdout() == "mounted\n";
            (mounted || !runs).then_some(mounted)
        });
        if !mounted {
            return Err(Skipped(format!(
                "the system does not let a small disk be mounted: {}",
                holder.stderr().trim()
            )));
        }
        Ok(SmallDisk { holder, mounted_at })
    }

    /// Its path for those who run within.
    pub fn path(&self) -> &Path {
        self.mounted_at.path()
    }

    /// A command that runs another one where the disk is.
    pub fn within(&self) -> Vec<String> {
        let holder = self.holder.id().to_string();
        ["nsenter", "--target", &holder, "--user", "--preserve-credentials", "--mount", "--"]
            .map(str::to_owned)
            .to_vec()
    }

    /// Its path for this program.
    fn seen_from_here(&self) -> PathBuf {
        Path::new(&format!("/proc/{}/root", self.holder.id())).join(self.path().strip_prefix("/").unwrap())
    }

    /// Writes to it until nothing fits any more; how many bytes did.
    pub fn fill(&self) -> usize {
        let mut file = fs::File::create(self.ballast()).unwrap();
        let block = [0; 4096];
        let mut written = 0;
        while file.write_all(&block).is_ok() {
            written += block.len();
        }
        written
    }

    /// Frees what [`SmallDisk::fill`] took.
    pub fn free(&self) {
        fs::remove_file(self.ballast()).unwrap();
    }

    fn ballast(&self) -> PathBuf {
        self.seen_from_here().join("ballast")
    }
}
