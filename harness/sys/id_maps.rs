//! Which user and group ids a new user namespace has (user_namespaces(7)).

use rustix::io::Errno;

/// The lines of its maps: an id is what it is outside. Of an ordinary user there is one; of root all that it has itself, so that
/// servers can still change their user.
pub(super) struct IdMaps {
    uid: Vec<u8>,
    gid: Vec<u8>,
    is_of_root: bool,
}

impl IdMaps {
    pub(super) fn of_this_user() -> Self {
        let is_of_root = rustix::process::geteuid().is_root();
        let lines = |file: &str, id: u32| match is_of_root {
            true => as_it_is(&std::fs::read(file).unwrap_or_default()),
            false => format!("{id} {id} 1\n").into_bytes(),
        };
        Self {
            uid: lines("/proc/self/uid_map", rustix::process::geteuid().as_raw()),
            gid: lines("/proc/self/gid_map", rustix::process::getegid().as_raw()),
            is_of_root,
        }
    }

    /// Writes those of a process that is in a new user namespace, and waits until it is told so.
    pub(super) fn write(&self, pid: i32) -> Result<(), Errno> {
        let write = |file: &str, lines: &[u8]| {
            let written = std::fs::write(format!("/proc/{pid}/{file}"), lines);
            written.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))
        };
        if !self.is_of_root {
            write("setgroups", b"deny")?;
        }
        write("gid_map", &self.gid)?;
        write("uid_map", &self.uid)
    }
}

/// The lines that map each id of a map to itself.
fn as_it_is(map: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(map);
    let line = |line: &str| {
        let mut words = line.split_ascii_whitespace();
        let (inside, _outside, count) = (words.next()?, words.next()?, words.next()?);
        Some(format!("{inside} {inside} {count}\n"))
    };
    text.lines()
        .filter_map(line)
        .collect::<String>()
        .into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_a_container_are_mapped_as_they_are_inside_of_it() {
        let map = b"         0     100000      65536\n     65536     300000          1\n";
        assert_eq!(as_it_is(map), b"0 0 65536\n65536 65536 1\n");
        assert_eq!(as_it_is(b"0 0 4294967295\n"), b"0 0 4294967295\n");
    }
}
