//! How the router is: it says so itself, at /livez and /readyz.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::error::CommandError;

/// How long the router may take to answer.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Fails where the router can't go on.
///
/// # Errors
/// Where it can't, or does not answer.
pub fn check_alive(admin: SocketAddr) -> Result<(), CommandError> {
    match complaint(admin, "/livez")? {
        None => Ok(()),
        Some(reason) => Err(CommandError::Failed(format!("the router can't go on: {reason}"))),
    }
}

/// Nothing where the router serves every partition, else what it waits for.
///
/// # Errors
/// Where it does not answer.
pub fn waits_for(admin: SocketAddr) -> Result<Option<String>, CommandError> {
    complaint(admin, "/readyz")
}

/// The first line of a page, unless it says that all is well.
fn complaint(admin: SocketAddr, page: &str) -> Result<Option<String>, CommandError> {
    let answer = fetch(admin, page).map_err(|error| {
        CommandError::Failed(format!("the router does not answer at http://{admin}{page}: {error}"))
    })?;
    if answer.starts_with("HTTP/1.1 200 ") {
        return Ok(None);
    }
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    Ok(Some(body.lines().next().unwrap_or("it gives no reason").to_owned()))
}

fn fetch(admin: SocketAddr, page: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&admin, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    write!(stream, "GET {page} HTTP/1.1\r\nHost: {admin}\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}
