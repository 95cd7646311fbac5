//! Text files of users, read within a bound: a name may stand for a device or a pipe that never ends.

use super::error::Error;
use super::literal::Size;
use rustix::fs::{Mode, OFlags, open};
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::Path;

/// What a file holds, which says how large it may be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kind {
    name: &'static str,
    most_bytes: usize,
}

impl Kind {
    /// Ten times what a generator writes into one, which takes half a gibibyte once it is read.
    pub(crate) const SCENARIOS: Self = Self::new("a scenario file", 16 << 20);

    /// Profiles and targets are written by hand.
    pub(crate) const SETTINGS: Self = Self::new("a profile or target file", 1 << 20);

    /// Bytes that a scenario sends or expects, which are written out where it is to need nothing else: a line has room for no more.
    pub(crate) const PAYLOAD: Self = Self::new("a payload", 960 << 10);

    /// A chain of certificates, or a key.
    pub(crate) const PEM: Self = Self::new("a file of certificates or of a key", 1 << 20);

    /// A report of `--json`, with the transcripts of all that failed.
    pub(crate) const REPORT: Self = Self::new("a report", 256 << 20);

    /// A trial with all that was seen of it.
    pub(crate) const TRIAL: Self = Self::new("a saved trial", 256 << 20);

    const fn new(name: &'static str, most_bytes: usize) -> Self {
        Self { name, most_bytes }
    }

    /// Reads whatever the user has named: a file, a pipe or a device.
    ///
    /// # Errors
    /// It cannot be read, is too large, or is no UTF-8 text.
    pub(crate) fn read(self, path: &Path) -> Result<String, Error> {
        let file = File::open(path).map_err(Error::file("reading", path))?;
        text_of(self.bytes_of(file, path)?, path)
    }

    /// Reads a file that was found in a folder. Nobody has named it, and what is there may be a pipe that nobody writes to.
    ///
    /// # Errors
    /// As [`Kind::read`], and for all that is no regular file.
    pub(crate) fn read_found(self, path: &Path) -> Result<String, Error> {
        let bytes = self.bytes_found(path)?;
        text_of(bytes, path)
    }

    /// The same of a file that need not be text.
    ///
    /// # Errors
    /// As [`Kind::read_found`], but for what is no text.
    pub(crate) fn bytes_found(self, path: &Path) -> Result<Vec<u8>, Error> {
        let failed = Error::file("reading", path);
        // Without O_NONBLOCK, to open a pipe is to wait for its writer (fifo(7)).
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        let file = open(path, flags, Mode::empty()).map_err(|errno| failed(errno.into()))?;
        let file = File::from(file);
        match file.metadata().map_err(failed)?.is_file() {
            true => self.bytes_of(file, path),
            false => Err(failed(io::Error::new(
                ErrorKind::InvalidInput,
                "it is no regular file",
            ))),
        }
    }

    fn bytes_of(self, file: File, path: &Path) -> Result<Vec<u8>, Error> {
        let failed = Error::file("reading", path);
        let mut bytes = Vec::new();
        let mut some = file.take(self.most_bytes as u64 + 1);
        some.read_to_end(&mut bytes).map_err(failed)?;
        if bytes.len() > self.most_bytes {
            let (name, most) = (self.name, Size(self.most_bytes));
            let message = format!("it is larger than {most}, the most that {name} may have");
            return Err(failed(io::Error::new(ErrorKind::FileTooLarge, message)));
        }
        Ok(bytes)
    }
}

fn text_of(bytes: Vec<u8>, path: &Path) -> Result<String, Error> {
    String::from_utf8(bytes).map_err(|error| no_text(path, &error))
}

/// Says where the first byte stands that is no text.
fn no_text(path: &Path, error: &std::string::FromUtf8Error) -> Error {
    let (text, rest) = error.as_bytes().split_at(error.utf8_error().valid_up_to());
    let line = 1 + text.iter().filter(|byte| **byte == b'\n').count();
    let before = text.rsplit(|byte| *byte == b'\n').next();
    let before = String::from_utf8_lossy(before.unwrap_or_default());
    let column = 1 + before.chars().count();
    let byte = rest.first().copied().unwrap_or_default();
    Error::Malformed {
        file: path.display().to_string(),
        message: format!("line {line}, column {column}: the byte \\x{byte:02x} is no UTF-8 text"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_is_read_up_to_its_bound() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let small = Kind::new("a note", 8);
        std::fs::write(&path, "12345678").unwrap();
        assert_eq!(small.read(&path).unwrap(), "12345678");
        assert_eq!(small.read_found(&path).unwrap(), "12345678");
        std::fs::write(&path, "123456789").unwrap();
        let error = small.read(&path).unwrap_err().chain();
        let message = "it is larger than 8B, the most that a note may have";
        assert!(error.ends_with(message), "{error}");
        let error = small.read(Path::new("/dev/zero")).unwrap_err().chain();
        assert!(error.ends_with(message), "{error}");
    }

    #[test]
    fn byte_that_is_no_text_is_pointed_at() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, b"one\nt\xc3\xb6\xffo").unwrap();
        let error = Kind::SETTINGS.read(&path).unwrap_err().chain();
        let message = r"line 2, column 3: the byte \xff is no UTF-8 text";
        assert!(error.ends_with(message), "{error}");
    }

    #[test]
    fn nothing_but_a_regular_file_is_read_that_was_found() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &pipe,
            rustix::fs::FileType::Fifo,
            Mode::RUSR | Mode::WUSR,
            0,
        )
        .unwrap();
        for path in [&*pipe, folder.path(), Path::new("/dev/zero")] {
            let error = Kind::SCENARIOS.read_found(path).unwrap_err().chain();
            assert!(error.ends_with("it is no regular file"), "{error}");
        }
    }
}
