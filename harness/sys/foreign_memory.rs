//! Memory of another process, for whoever may trace it (process_vm_readv(2)).

use rustix::io::Errno;

/// A piece of another process's memory, as `struct iovec` says it (iovec(3type)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) at: u64,
    pub(crate) bytes: usize,
}

impl Piece {
    fn as_vector(self) -> libc::iovec {
        libc::iovec {
            iov_base: self.at as *mut libc::c_void,
            iov_len: self.bytes,
        }
    }
}

/// Reads as many bytes as fit from these pieces, one behind the other.
///
/// # Errors
/// The process has ended, nobody may look into it, or not all of it is there.
pub(crate) fn read(process: i32, from: &[Piece], into: &mut [u8]) -> Result<(), Errno> {
    let own = libc::iovec {
        iov_base: into.as_mut_ptr().cast(),
        iov_len: into.len(),
    };
    let from = first(from, into.len());
    // SAFETY: our piece is a slice that lives on; those of the other process are the kernel's to check.
    let read = unsafe {
        libc::process_vm_readv(
            process,
            &raw const own,
            1,
            from.as_ptr(),
            from.len() as _,
            0,
        )
    };
    all(read, into.len())
}

/// Writes bytes to these pieces, one behind the other.
///
/// # Errors
/// As [`read`].
pub(crate) fn write(process: i32, to: &[Piece], bytes: &[u8]) -> Result<(), Errno> {
    let own = libc::iovec {
        iov_base: bytes.as_ptr().cast_mut().cast(),
        iov_len: bytes.len(),
    };
    let to = first(to, bytes.len());
    // SAFETY: our piece is a slice that is only read; those of the other process are the kernel's to check.
    let written = unsafe {
        libc::process_vm_writev(process, &raw const own, 1, to.as_ptr(), to.len() as _, 0)
    };
    all(written, bytes.len())
}

/// The first so many bytes of pieces.
fn first(pieces: &[Piece], mut bytes: usize) -> Vec<libc::iovec> {
    let mut found = Vec::new();
    for piece in pieces {
        let taken = piece.bytes.min(bytes);
        if taken > 0 {
            found.push(
                Piece {
                    bytes: taken,
                    ..*piece
                }
                .as_vector(),
            );
        }
        bytes -= taken;
    }
    found
}

fn all(done: isize, wanted: usize) -> Result<(), Errno> {
    match usize::try_from(done) {
        Ok(done) if done == wanted => Ok(()),
        Ok(_) => Err(Errno::FAULT),
        Err(_) => {
            let error = std::io::Error::last_os_error();
            Err(Errno::from_io_error(&error).unwrap_or(Errno::FAULT))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_go_over_the_ends_of_pieces_and_what_is_not_there_is_an_error() {
        let own = std::process::id() as i32;
        let (mut one, mut other) = (*b"abc", *b"defgh");
        let piece = |bytes: &mut [u8]| Piece {
            at: bytes.as_mut_ptr() as u64,
            bytes: bytes.len(),
        };
        let pieces = [piece(&mut one), piece(&mut other)];
        let mut five = [0; 5];
        read(own, &pieces, &mut five).unwrap();
        assert_eq!(&five, b"abcde");
        write(own, &pieces, b"ABCD").unwrap();
        assert_eq!((&one, &other), (b"ABC", b"Defgh"));
        let nowhere = [Piece { at: 8, bytes: 5 }];
        assert_eq!(read(own, &nowhere, &mut five), Err(Errno::FAULT));
    }
}
