//! Bytes for people.

use std::fmt::Write;

/// Bytes of a line.
const LINE: usize = 16;

/// Sixteen bytes a line: where, in hexadecimal, and as ASCII.
pub fn hex_dump(bytes: &[u8]) -> String {
    let mut dump = String::with_capacity(bytes.len() * 5);
    for (number, line) in bytes.chunks(LINE).enumerate() {
        let hex: Vec<String> = line.iter().map(|byte| format!("{byte:02x}")).collect();
        let ascii: String = line
            .iter()
            .map(|byte| if byte.is_ascii_graphic() || *byte == b' ' { char::from(*byte) } else { '.' })
            .collect();
        // A string takes any text.
        let _ = writeln!(dump, "{:08x}  {:47}  {ascii}", number * LINE, hex.join(" "));
    }
    dump
}

#[cfg(test)]
mod tests {
    use super::hex_dump;

    #[test]
    fn lines_of_sixteen() {
        let dump = hex_dump(b"\xc3\x01 thalweg events and more");
        let lines: Vec<&str> = dump.lines().collect();
        assert_eq!(lines[0], "00000000  c3 01 20 74 68 61 6c 77 65 67 20 65 76 65 6e 74  .. thalweg event");
        assert_eq!(lines[1].trim_end(), "00000010  73 20 61 6e 64 20 6d 6f 72 65                    s and more");
    }
}
