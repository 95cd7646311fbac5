//! The addresses that clients come from where each connection has one of its own.

use std::cell::Cell;
use std::net::{IpAddr, Ipv4Addr};
use std::rc::Rc;

/// Where connections come from that nothing is said of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Apart {
    /// From where the kernel lets them come from.
    #[default]
    No,
    /// Each from an address of its own, but one that is to come from the port of the one before.
    Usually,
    /// Each from an address of its own.
    Always,
}

/// The addresses that the clients of a server come from. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sources {
    apart: Rc<Cell<Apart>>,
    given: Rc<Cell<u32>>,
    ports: Rc<Cell<u16>>,
}

impl Sources {
    /// From now on connections come from there.
    pub(crate) fn come(&self, apart: Apart) {
        self.apart.set(apart);
    }

    /// The address of the next connection; `None` where the kernel chooses it. All of 127.0.0.0/8 is this host's (RFC 1122,
    /// section 3.2.1.3), and of `::1` there is but one.
    pub(crate) fn next(&self, to: IpAddr, is_same_port: bool) -> Option<IpAddr> {
        let is_apart = match self.apart.get() {
            Apart::No => false,
            Apart::Usually => !is_same_port,
            Apart::Always => true,
        };
        (is_apart && to.is_ipv4()).then(|| self.another())
    }

    /// An address from which none of many before has come.
    pub(crate) fn another(&self) -> IpAddr {
        let number = self.given.get();
        self.given.set((number + 1) % ADDRESSES);
        numbered(number).into()
    }

    /// A port from which nobody of a large crowd has come for the longest time. The kernel itself goes through one half of its
    /// ports before it takes any of the other, and once that half is taken looks at all of it for each connection.
    pub(crate) fn port(&self) -> u16 {
        let number = self.ports.get();
        self.ports.set((number + 1) % PORTS);
        FIRST_PORT + number
    }
}

/// The ports that the kernel gives to clients in a network of its own (`ip_local_port_range`, ip(7)).
const FIRST_PORT: u16 = 32_768;
const PORTS: u16 = 60_999 - FIRST_PORT + 1;

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
        let sources = Sources::default();
        let made: HashSet<_> = (0..ADDRESSES).map(|_| sources.another()).collect();
        assert_eq!(made.len(), ADDRESSES as usize);
        assert!(made.iter().all(IpAddr::is_loopback));
        assert!(!made.contains(&Ipv4Addr::LOCALHOST.into()));
        assert!(made.contains(&sources.another()));
    }

    #[test]
    fn every_port_is_given_before_one_is_given_again() {
        let sources = Sources::default();
        let given: HashSet<_> = (0..PORTS).map(|_| sources.port()).collect();
        assert_eq!(given.len(), PORTS as usize);
        assert!(given.contains(&32_768) && given.contains(&60_999));
        assert_eq!(sources.port(), 32_768);
    }

    #[test]
    fn address_of_its_own_is_for_those_who_are_to_come_apart() {
        let to = Ipv4Addr::LOCALHOST.into();
        for (apart, new, same_port) in [
            (Apart::No, false, false),
            (Apart::Usually, true, false),
            (Apart::Always, true, true),
        ] {
            let sources = Sources::default();
            sources.come(apart);
            assert_eq!(sources.next(to, false).is_some(), new, "{apart:?}");
            assert_eq!(sources.next(to, true).is_some(), same_port, "{apart:?}");
            let v6 = std::net::Ipv6Addr::LOCALHOST.into();
            assert_eq!(sources.next(v6, false), None, "{apart:?}");
        }
    }
}
