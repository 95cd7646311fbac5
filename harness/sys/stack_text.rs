//! A text of a process that may not allocate.

use rustix::io::Errno;
use std::ffi::CStr;
use std::fmt::Write;

/// A short text on the stack.
pub(super) struct StackText {
    bytes: [u8; 64],
    length: usize,
}

impl StackText {
    pub(super) fn of(text: std::fmt::Arguments<'_>) -> Result<Self, Errno> {
        let mut written = Self {
            bytes: [0; 64],
            length: 0,
        };
        written.write_fmt(text).map_err(|_| Errno::NAMETOOLONG)?;
        Ok(written)
    }

    pub(super) fn as_c_str(&self) -> Result<&CStr, Errno> {
        CStr::from_bytes_until_nul(&self.bytes).map_err(|_| Errno::NAMETOOLONG)
    }
}

impl Write for StackText {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        // One byte is left for the end.
        let end = self.length + text.len();
        if end >= self.bytes.len() {
            return Err(std::fmt::Error);
        }
        let place = self
            .bytes
            .get_mut(self.length..end)
            .ok_or(std::fmt::Error)?;
        place.copy_from_slice(text.as_bytes());
        self.length = end;
        Ok(())
    }
}
