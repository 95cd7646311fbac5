//! A server that somebody else has started: where it is, and what may be done to it.

use crate::foreign::LINE;
use crate::kernel::Row;
use crate::model::address::is_here;
use crate::model::error::Error;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};

/// A server that somebody else has started, and of which nothing is known but what its clients see.
///
/// ```
/// use sockdrill::{Profile, Target};
///
/// let target = Target::at("127.0.0.1:6379", Profile::find("redis")?)?;
/// assert!(!target.elsewhere.is_some_and(|there| there.may_be_flooded));
/// # Ok::<(), sockdrill::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Elsewhere {
    /// Its address as HOST:PORT.
    pub address: String,
    /// The host is the user's own, so that it may be drilled although it is not this one.
    pub own_host: bool,
    /// Scenarios of many clients, or many bytes, may be tried on it.
    pub may_be_flooded: bool,
}

impl Elsewhere {
    /// A server on this host that is not flooded.
    ///
    /// # Errors
    /// It is no HOST:PORT.
    pub(super) fn at(address: &str) -> Result<Self, String> {
        let port = address
            .rsplit_once(':')
            .map(|(_, port)| port.parse::<u16>());
        let host = address.rsplit_once(':').map_or("", |(host, _)| host);
        // Without brackets the last group of an IPv6 address would be taken for the port.
        let is_host = !host.is_empty()
            && (!host.contains(':') || host.starts_with('[') && host.ends_with(']'));
        match port {
            Some(Ok(1..)) if is_host => Ok(Self {
                address: address.to_owned(),
                own_host: false,
                may_be_flooded: false,
            }),
            _ => Err(format!(
                "`{}` is no address of a server; write HOST:PORT, such as 127.0.0.1:8080, localhost:8080 or [::1]:8080",
                LINE.text(address)
            )),
        }
    }

    /// Where its name leads: to this host, or to one that is the user's own.
    ///
    /// # Errors
    /// There is no such name, or it leads to a host of which nobody has said that it may be drilled.
    pub(super) fn places(&self) -> Result<Vec<SocketAddr>, Error> {
        let found = self.address.to_socket_addrs();
        let places: Vec<_> = found
            .map_err(|source| Error::NotReached {
                address: self.address.clone(),
                why: source.to_string(),
                waited: None,
            })?
            .map(as_clients_reach_it)
            .collect();
        match places.iter().find(|place| !is_here(**place)) {
            Some(place) if !self.own_host => Err(Error::Usage(format!(
                "{} is {}, which is not this host's loopback: a server there is somebody's who has to be asked; where that is you, \
                 say so with --i-own-this-host",
                LINE.text(&self.address),
                place.ip()
            ))),
            _ => Ok(places),
        }
    }
}

/// Who listens on all addresses of this host, and says so, is reached by its loopback.
fn as_clients_reach_it(mut place: SocketAddr) -> SocketAddr {
    if place.ip().is_unspecified() {
        place.set_ip(match place.is_ipv4() {
            true => Ipv4Addr::LOCALHOST.into(),
            false => Ipv6Addr::LOCALHOST.into(),
        });
    }
    place
}

/// Whether a listener takes the clients of this address.
pub(super) fn takes(listener: &Row, address: SocketAddr) -> bool {
    let Some(local) = listener
        .local
        .filter(|local| local.port() == address.port())
    else {
        return false;
    };
    let (at, to) = (local.ip().to_canonical(), address.ip().to_canonical());
    let takes_all = match at {
        IpAddr::V4(at) => at.is_unspecified() && to.is_ipv4(),
        IpAddr::V6(at) => at.is_unspecified() && (to.is_ipv6() || !listener.v6_only),
    };
    at == to || takes_all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn address_is_a_host_and_a_port() {
        for good in [
            "127.0.0.1:80",
            "localhost:8080",
            "[::1]:1",
            "db.example:65535",
        ] {
            assert_eq!(Elsewhere::at(good).unwrap().address, good);
        }
        for bad in [
            "",
            "80",
            ":80",
            "localhost",
            "localhost:",
            "localhost:0",
            "localhost:65536",
            "::1:80",
            "[::1]",
            "/run/a",
        ] {
            assert!(Elsewhere::at(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn nobody_drills_another_host_without_saying_whose_it_is() {
        let mut there = Elsewhere::at("192.0.2.1:80").unwrap();
        let refused = there.places().unwrap_err().to_string();
        assert!(refused.contains("--i-own-this-host"), "{refused}");
        there.own_host = true;
        assert_eq!(there.places().unwrap(), ["192.0.2.1:80".parse().unwrap()]);
        for here in ["127.0.0.2:80", "[::1]:80", "[::ffff:127.0.0.1]:80"] {
            assert_eq!(Elsewhere::at(here).unwrap().places().unwrap().len(), 1);
        }
    }

    #[test]
    fn all_addresses_of_this_host_are_reached_by_its_loopback() {
        for (said, reached) in [("0.0.0.0:80", "127.0.0.1:80"), ("[::]:80", "[::1]:80")] {
            let places = Elsewhere::at(said).unwrap().places().unwrap();
            assert_eq!(places, [reached.parse().unwrap()]);
        }
    }

    #[test]
    fn listener_on_all_addresses_takes_those_of_its_family() {
        let listener = |local: &str, v6_only| Row {
            v6_only,
            ..Row::listening_at(local.parse().unwrap())
        };
        let is_taken = |local: &str, v6_only, address: &str| {
            takes(&listener(local, v6_only), address.parse().unwrap())
        };
        assert!(is_taken("0.0.0.0:80", false, "127.0.0.1:80"));
        assert!(!is_taken("0.0.0.0:80", false, "[::1]:80"));
        assert!(is_taken("[::]:80", false, "127.0.0.1:80"));
        assert!(!is_taken("[::]:80", true, "127.0.0.1:80"));
        assert!(is_taken("[::]:80", true, "[::1]:80"));
        assert!(is_taken("127.0.0.1:80", false, "127.0.0.1:80"));
        assert!(!is_taken("127.0.0.1:80", false, "127.0.0.2:80"));
        assert!(!is_taken("0.0.0.0:81", false, "127.0.0.1:80"));
    }
}
