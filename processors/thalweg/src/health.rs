//! How a router is: it says so itself, at /livez and /readyz.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::error::CommandError;

/// How long the router may take to connect, and then to answer.
const TIMEOUT: Duration = Duration::from_secs(2);
/// Bytes of an answer at most: a line for each partition of a large namespace fits.
const ANSWER_MAX_BYTES: u64 = 256 * 1024;

/// A page on which a router says how it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Page {
    /// Whether it can go on.
    Livez,
    /// Whether it serves all that it was assigned.
    Readyz,
}

impl Page {
    fn path(self) -> &'static str {
        match self {
            Page::Livez => "/livez",
            Page::Readyz => "/readyz",
        }
    }
}

/// Fails where the router can't go on.
///
/// # Errors
/// Where it can't, or does not answer.
pub fn check_alive(admin: SocketAddr) -> Result<(), CommandError> {
    match complaints(admin, Page::Livez)?.first() {
        None => Ok(()),
        Some(reason) => Err(CommandError::Failed(format!("the router can't go on: {reason}"))),
    }
}

/// Nothing where the router serves every partition, else what it waits for.
///
/// # Errors
/// Where it does not answer.
pub fn waits_for(admin: SocketAddr) -> Result<Option<String>, CommandError> {
    Ok(complaints(admin, Page::Readyz)?.into_iter().next())
}

/// What a router complains of, nothing where all is well.
///
/// # Errors
/// Where it does not answer.
pub fn complaints(admin: SocketAddr, page: Page) -> Result<Vec<String>, CommandError> {
    let path = page.path();
    let answer = fetch(admin, path).map_err(|error| {
        CommandError::Failed(format!("the router does not answer at http://{admin}{path}: {error}"))
    })?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.lines().next().unwrap_or("nothing");
    if status.starts_with("HTTP/1.1 200 ") {
        return Ok(Vec::new());
    }
    if !status.starts_with("HTTP/1.1 503 ") {
        return Err(CommandError::Failed(format!("no router is at http://{admin}{path}: it answers {status:?}")));
    }
    let reasons: Vec<String> = body.lines().map(str::to_owned).collect();
    Ok(if reasons.is_empty() { vec!["it gives no reason".to_owned()] } else { reasons })
}

fn fetch(admin: SocketAddr, path: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&admin, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {admin}\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.take(ANSWER_MAX_BYTES).read_to_string(&mut answer)?;
    Ok(answer)
}
