//! The addresses that clients come from where each connection has one of its own.

use std::cell::Cell;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::rc::Rc;

/// The addresses that the clients of a server come from: the kernel's choice, or one of its own for each connection.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sources(Rc<Cell<Option<u32>>>);

impl Sources {
    /// From now on each connection has an address of its own, and none that one of the many before it had.
    pub(crate) fn set_apart(&self) {
        self.0.set(self.0.get().or(Some(0)));
    }

    /// The address of the next connection to this peer; `None` where the kernel chooses it. All of 127.0.0.0/8 is this host's
    /// (RFC 1122, section 3.2.1.3), and of `::1` there is but one.
    pub(crate) fn next(&self, peer: SocketAddr) -> Option<IpAddr> {
        let number = self.0.get().filter(|_| peer.is_ipv4())?;
        self.0.set(Some((number + 1) % ADDRESSES));
        Some(numbered(number).into())
    }
}

/// How many addresses there are: more than any scenario has connections, and few enough that what a server remembers of each does
/// not look like what it leaks with each connection.
const ADDRESSES: u32 = 2_048;

/// How many values of a byte are used, so that no address looks like that of a network.
const OF_A_BYTE: u32 = 254;

/// Those that follow each other are of different networks, as what penalises networks would have it, and none is 127.0.0.1.
fn numbered(number: u32) -> Ipv4Addr {
    let byte = |of: u32| (of % OF_A_BYTE + 1) as u8;
    Ipv4Addr::new(127, byte(number), byte(number / OF_A_BYTE), 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn many_come_before_an_address_comes_again_and_each_is_of_this_host() {
        let peer = SocketAddr::from((Ipv4Addr::LOCALHOST, 80));
        let sources = Sources::default();
        assert_eq!(sources.next(peer), None);
        sources.set_apart();
        let made: HashSet<_> = (0..ADDRESSES).filter_map(|_| sources.next(peer)).collect();
        assert_eq!(made.len(), ADDRESSES as usize);
        assert_eq!(sources.next(peer), Some(numbered(0).into()));
        assert!(made.iter().all(IpAddr::is_loopback));
        assert!(!made.contains(&Ipv4Addr::LOCALHOST.into()));
    }
}
