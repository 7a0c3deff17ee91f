//! `thalweg health`

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use clap::Args;
use thalweg_runtime::Overrides;

use crate::error::CommandError;
use crate::health::{Page, complaints};
use crate::output;
use crate::settings::Settings;

/// Ask a router whether it serves all partitions that it was assigned
///
/// It asks at the router's admin address and needs no Kafka: the health check of a container. If the router does not
/// serve all of them, or does not answer, the reasons are printed and the exit code is 1.
#[derive(Args, Debug)]
pub struct Health {
    /// Where the router serves /livez and /readyz [env: THALWEG_ADMIN_ADDR] [default: 127.0.0.1:9464]
    #[arg(long, value_name = "HOST:PORT")]
    admin_addr: Option<SocketAddr>,
    /// Ask only whether it can go on: a router that restores, or has stopped a partition, can. For what restarts it
    #[arg(long)]
    live: bool,
}

impl Health {
    /// Runs the command.
    ///
    /// # Errors
    /// Where the router is not well, or does not answer.
    pub fn run(self, settings: &Settings) -> Result<(), CommandError> {
        let config = settings.load_with(Overrides { admin_addr: self.admin_addr, ..Overrides::default() })?;
        let (page, well, unwell) =
            if self.live { (Page::Livez, "live", "not live") } else { (Page::Readyz, "ready", "not ready") };
        let reasons = complaints(reachable(config.admin_addr), page)?;
        if reasons.is_empty() {
            return output::print(well);
        }
        Err(CommandError::Failed(format!("the router is {unwell}\n{}", reasons.join("\n"))))
    }
}

/// A router in a container listens on every address of it: it is asked on the one that never leaves the machine.
fn reachable(admin: SocketAddr) -> SocketAddr {
    let ip = match admin.ip() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, admin.port())
}
