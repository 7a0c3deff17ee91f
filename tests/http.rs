//! Questions over HTTP, as a browser would ask them.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// For an answer that does not come.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Status code and body of a GET.
///
/// # Errors
/// Where nobody answers, or not in full.
pub fn try_get(addr: &str, path: &str) -> std::io::Result<(u16, String)> {
    let mut stream = TcpStream::connect(addr)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    // In HTTP 1.0 an answer comes in one piece.
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {addr}\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let broken = || std::io::Error::other(format!("no HTTP: {answer:?}"));
    let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(broken)?;
    let code = head.split_whitespace().nth(1).and_then(|code| code.parse().ok()).ok_or_else(broken)?;
    Ok((code, body.to_owned()))
}

/// The same where somebody answers.
#[track_caller]
pub fn get(addr: &str, path: &str) -> (u16, String) {
    try_get(addr, path).unwrap_or_else(|error| panic!("http://{addr}{path}: {error}"))
}

/// Text as a value in a query.
pub fn encoded(text: &str) -> String {
    let byte = |byte: &u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' => char::from(*byte).to_string(),
        other => format!("%{other:02X}"),
    };
    text.as_bytes().iter().map(byte).collect()
}
