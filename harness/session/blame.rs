//! What an error of a call tells of: the server, or our own host. Only what the other side does is held against it.

use rustix::io::Errno;

/// Errors that the server brings about: it refuses, resets, has closed, does not answer at all, or has removed its path.
const OF_SERVER: &[Errno] = &[
    Errno::CONNREFUSED,
    Errno::CONNRESET,
    Errno::PIPE,
    Errno::TIMEDOUT,
    Errno::NOENT,
];

/// Those of which ICMP tells later. Where a call says so at once, it is our own host that knows no way.
const TOLD_LATER: &[Errno] = &[Errno::HOSTUNREACH, Errno::NETUNREACH];

/// Whether what a call says at once is for the server to answer for.
pub(super) fn is_of_server(errno: Errno) -> bool {
    OF_SERVER.contains(&errno)
}

/// Whether what became of something that was under way is for the server to answer for.
pub(super) fn is_told_of_server(errno: Errno) -> bool {
    is_of_server(errno) || TOLD_LATER.contains(&errno)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_not_on_the_list_is_ours() {
        let ours = [
            Errno::MFILE,
            Errno::NFILE,
            Errno::BADF,
            Errno::NOBUFS,
            Errno::ACCESS,
            Errno::ADDRNOTAVAIL,
            Errno::NETUNREACH,
        ];
        assert!(ours.into_iter().all(|errno| !is_of_server(errno)));
        assert!(is_told_of_server(Errno::NETUNREACH) && !is_told_of_server(Errno::BADF));
    }
}
