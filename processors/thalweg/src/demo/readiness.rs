//! Is the router ready? It says so itself, at /readyz.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// How long the router may take to answer.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Nothing where the router is ready, else what it waits for.
///
/// # Errors
/// Where it does not answer.
pub fn waits_for(admin: SocketAddr) -> io::Result<Option<String>> {
    let mut stream = TcpStream::connect_timeout(&admin, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: thalweg\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    if answer.starts_with("HTTP/1.1 200 ") {
        return Ok(None);
    }
    let reasons = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    Ok(Some(reasons.lines().next().unwrap_or("no reason given").to_owned()))
}
