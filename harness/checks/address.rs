//! Addresses: IPv6, IPv4 in IPv6, and only where the server was told to listen.

use super::derive::with_connect_options;
use crate::checks::counterexample::{bound, each, echo, listen};
use crate::model::action::ConnectOptions;
use crate::model::address::Address;
use crate::model::check::{Check, Counterexample, Policy};
use crate::model::defect::Defect;
use crate::model::dialogue::{ClientSteps, scenario};
use crate::model::expectation::Expectation;
use crate::model::need::Need;
use crate::model::scenario::Line;
use crate::model::subject::Subject;
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

fn polite_over(ip: IpAddr, subject: &Subject) -> Vec<Line> {
    let options = ConnectOptions {
        to: Some(ip),
        ..ConnectOptions::default()
    };
    with_connect_options(ClientSteps::of(0).polite(subject).lines(), &options)
}

/// Listens on all addresses of both families, whatever it was told.
fn everywhere(address: &Address, ip: IpAddr) -> io::Result<Address> {
    match address {
        Address::Inet(address) => Ok(Address::Inet(SocketAddr::new(ip, address.port()))),
        Address::Path(_) => Err(io::Error::other("an IP address is needed")),
    }
}

/// Serves IPv4 clients as it should, and sends IPv6 clients away.
fn four_bytes_only(address: &Address) -> io::Result<()> {
    let Address::Inet(given) = address else {
        return Err(io::Error::other("an IP address is needed"));
    };
    let six = Socket::new(Domain::IPV6, Type::STREAM, Some(Protocol::TCP))?;
    six.set_only_v6(true)?;
    six.set_reuse_address(true)?;
    six.bind(&SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), given.port()).into())?;
    let four = bound(address, true)?;
    // Both are there in the same moment, or only one of them may be found.
    six.listen(128)?;
    four.listen(128)?;
    std::thread::spawn(move || while six.accept().is_ok() {});
    each(&four.into(), echo)
}

/// Serves IPv6 clients as it should, and sends away whose address has the IPv4 form.
fn sixteen_bytes_only(address: &Address) -> io::Result<()> {
    let listener = listen(&everywhere(address, Ipv6Addr::UNSPECIFIED.into())?)?;
    loop {
        let (mut stream, from) = listener.accept()?;
        let four = matches!(from.ip(), IpAddr::V6(ip) if ip.to_ipv4_mapped().is_some());
        std::thread::spawn(move || if four { Ok(()) } else { echo(&mut stream) });
    }
}

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "address/ipv6",
        requirement: "A server that listens on IPv6 serves clients over it.",
        why: "Addresses are parsed or printed as if they all had four bytes, and the first other one ends something.",
        method: "A client goes through the exchange over ::1.",
        quantities: "",
        fix: "Treat addresses as opaque, or handle both families.",
        defect: &Defect::LISTEN,
        needs: &[Need::TCP, Need::IPV6, Need::MANY_CONNECTIONS],
        policy: Policy::MUST,
        scenarios: |subject| {
            let lines = polite_over(Ipv6Addr::LOCALHOST.into(), subject);
            Some(vec![scenario("over ::1", &[("alice", 1)], vec![lines])])
        },
        counterexample: Counterexample {
            instead_of: "echo",
            shows: "step-failed",
            serve: four_bytes_only,
        },
    },
    Check {
        id: "address/mapped",
        requirement: "A server that listens on both families serves clients over an IPv4 address in IPv6 form.",
        why: "A dual-stack socket shows IPv4 clients as ::ffff:a.b.c.d (ipv6(7)); what compares addresses as text \
              meets a form it does not know.",
        method: "A client goes through the exchange over ::ffff:127.0.0.1.",
        quantities: "",
        fix: "Take the IPv4 address out of its IPv6 form before looking at it.",
        defect: &Defect::LISTEN,
        needs: &[Need::TCP, Need::DUAL_STACK, Need::MANY_CONNECTIONS],
        policy: Policy::MUST,
        scenarios: |subject| {
            let lines = polite_over(Ipv4Addr::LOCALHOST.to_ipv6_mapped().into(), subject);
            Some(vec![scenario(
                "over ::ffff:127.0.0.1",
                &[("alice", 1)],
                vec![lines],
            )])
        },
        counterexample: Counterexample {
            instead_of: "echo",
            shows: "step-failed",
            serve: sixteen_bytes_only,
        },
    },
    Check {
        id: "address/only-where-told",
        requirement: "A server that is told to listen on 127.0.0.1 is not reachable on another address.",
        why: "A server that was meant for this machine alone is open to the network.",
        method: "A server whose command names 127.0.0.1 is called on 127.0.0.2.",
        quantities: "",
        fix: "Bind to the address that was given, not to all.",
        defect: &Defect::LISTEN,
        needs: &[Need::TCP, Need::TOLD_LOOPBACK],
        policy: Policy::MUST,
        scenarios: |_| {
            let options = ConnectOptions {
                without_waiting: true,
                to: Some(Ipv4Addr::new(127, 0, 0, 2).into()),
                ..ConnectOptions::default()
            };
            let lines = with_connect_options(
                ClientSteps::of(0)
                    .connect()
                    .expect(Expectation::Refused)
                    .lines(),
                &options,
            );
            Some(vec![scenario(
                "called on another address",
                &[("mallory", 1)],
                vec![lines],
            )])
        },
        counterexample: Counterexample {
            instead_of: "echo",
            shows: "step-failed",
            serve: |address| {
                each(
                    &listen(&everywhere(address, Ipv4Addr::UNSPECIFIED.into())?)?,
                    echo,
                )
            },
        },
    },
];
