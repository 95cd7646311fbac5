//! The memory that a process without `exec` has of the harness.

/// Gives back the memory that came through the fork, but for what this thread stands on. As long as both processes have
/// a page, the harness pays for a copy of it when it writes there next, and every fork below copies the table of them.
pub(super) fn give_memory_back() {
    let flags = rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::CLOEXEC;
    let Ok(maps) = rustix::fs::open(c"/proc/self/maps", flags, rustix::fs::Mode::empty()) else {
        return;
    };
    // SAFETY: no memory is touched.
    let own = [
        &raw const maps as usize,
        unsafe { libc::__errno_location() } as usize,
    ];
    let mut text = [0u8; 8192];
    let (mut filled, mut file_end) = (0, 0);
    while let Some(room) = text.get_mut(filled..)
        && let Ok(read @ 1..) = rustix::io::read(&maps, room)
    {
        filled += read;
        let mut lines = text.get(..filled).unwrap_or_default();
        while let Some(end) = lines.iter().position(|byte| *byte == b'\n') {
            let (line, rest) = lines.split_at(end);
            lines = rest.get(1..).unwrap_or_default();
            let Some(mapping) = Mapping::read(line) else {
                continue;
            };
            if mapping.is_heap(own, file_end) {
                let (start, bytes) = (mapping.place.start, mapping.place.len());
                // SAFETY: private memory of the harness's threads, none of which came through the fork; nothing that
                // runs from here on allocates, or reads what was allocated.
                unsafe { libc::madvise(start as *mut libc::c_void, bytes, libc::MADV_DONTNEED) };
            }
            if mapping.is_of_file {
                file_end = mapping.place.end;
            }
        }
        let begun = filled - lines.len();
        text.copy_within(begun..filled, 0);
        filled -= begun;
    }
}

/// A line of `/proc/PID/maps` (proc_pid_maps(5)).
struct Mapping {
    place: std::ops::Range<usize>,
    is_private: bool,
    is_of_file: bool,
    has_name: bool,
}

impl Mapping {
    fn read(line: &[u8]) -> Option<Self> {
        // The path of a file may be no UTF-8, and nothing of it matters.
        let words = line
            .split(|byte| *byte == b' ')
            .filter(|word| !word.is_empty());
        let mut words = words.map(|word| std::str::from_utf8(word).unwrap_or("?"));
        let (start, end) = words.next()?.split_once('-')?;
        let [start, end] = [start, end].map(|address| usize::from_str_radix(address, 16));
        let (access, _offset, _device) = (words.next()?, words.next()?, words.next()?);
        Some(Self {
            place: start.ok()?..end.ok()?,
            is_private: access == "rw-p",
            is_of_file: words.next()? != "0",
            has_name: words.next().is_some_and(|name| name != "[heap]"),
        })
    }

    /// Whether it is large, of no file, and holds none of the addresses `own`. What follows a file without a gap may be
    /// the part of a program or library that is zero at first (.bss), with a heap behind it.
    fn is_heap(&self, own: [usize; 2], file_end: usize) -> bool {
        const LARGE: usize = 1 << 20;
        let is_own = own.iter().any(|address| self.place.contains(address));
        let is_anonymous = self.is_private && !self.is_of_file && !self.has_name;
        is_anonymous && !is_own && self.place.len() >= LARGE && self.place.start != file_end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_given_back_where_nothing_but_the_harness_uses_it() {
        const OWN: [usize; 2] = [0x7f00_0080_0000, 0x7f00_0180_0000];
        let given = |line: &str| {
            let mapping = Mapping::read(line.as_bytes());
            mapping.is_some_and(|mapping| mapping.is_heap(OWN, 0x7f00_0300_0000))
        };
        assert!(given("7f0002000000-7f0004000000 rw-p 00000000 00:00 0 "));
        assert!(given(
            "55d000000000-55d000200000 rw-p 00000000 00:00 0   [heap]"
        ));
        for kept in [
            // Small, a thread's stack, behind a file, shared, of a file, read only, the first stack, and no mapping at all.
            "7f0002000000-7f0002001000 rw-p 00000000 00:00 0 ",
            "7f0000000000-7f0001000000 rw-p 00000000 00:00 0 ",
            "7f0001000000-7f0002000000 rw-p 00000000 00:00 0 ",
            "7f0003000000-7f0004000000 rw-p 00000000 00:00 0 ",
            "7f0002000000-7f0004000000 rw-s 00000000 00:01 5 /memfd:x (deleted)",
            "7f0002000000-7f0004000000 rw-p 00000000 08:01 5 /usr/bin/true",
            "7f0002000000-7f0004000000 r--p 00000000 00:00 0 ",
            "7ffd00000000-7ffd00200000 rw-p 00000000 00:00 0   [stack]",
            "7f0002000000",
            "",
        ] {
            assert!(!given(kept), "{kept}");
        }
        let of_a_strange_name = b"7f0002000000-7f0004000000 rw-p 00000000 08:01 5 /srv/\xff\xfe";
        let mapping = Mapping::read(of_a_strange_name).unwrap();
        assert!(mapping.is_of_file && mapping.place.end == 0x7f00_0400_0000);
    }
}
