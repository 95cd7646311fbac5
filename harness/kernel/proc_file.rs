//! Files of `/proc`, which tell no size: one is read whole by one call where it fits, and looks read thousands of them.

use rustix::fs::{Mode, OFlags, open};
use rustix::io::{Errno, read};
use rustix::path::Arg;

/// What most of these files fit into, in bytes.
const ONE_CALL: usize = 4 << 10;

/// Reads a file of `/proc` as text. What is no UTF-8 in it, as a process' name may be, is replaced.
pub(super) fn text_of(path: impl Arg) -> Result<String, Errno> {
    let bytes = bytes_of(path)?;
    Ok(String::from_utf8(bytes)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
}

fn bytes_of(path: impl Arg) -> Result<Vec<u8>, Errno> {
    let file = open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    let mut whole = Vec::with_capacity(ONE_CALL);
    loop {
        whole.reserve(ONE_CALL);
        match read(&file, rustix::buffer::spare_capacity(&mut whole)) {
            Ok(0) => return Ok(whole),
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::text_of;

    #[test]
    fn is_read_whole_and_what_is_not_there_is_an_error() {
        let status = text_of("/proc/self/status").unwrap();
        assert!(status.starts_with("Name:") && status.contains("nonvoluntary_ctxt_switches:"));
        let by_std = std::fs::read_to_string("/proc/self/limits").unwrap();
        assert_eq!(text_of("/proc/self/limits").unwrap(), by_std);
        assert!(text_of("/proc/self/smaps").unwrap().len() > super::ONE_CALL);
        assert!(text_of("/proc/self/nothing").is_err());
    }
}
