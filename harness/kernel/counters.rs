//! The kernel's network counters of one namespace (`/proc/PID/net/snmp` and `netstat`), as differences.

use super::proc_file::text_of;
use std::collections::BTreeMap;

/// The counter of datagrams that did not fit the buffer of their receiver and were dropped.
pub(crate) const RECEIVE_BUFFER_ERRORS: &str = "RcvbufErrors";

/// The counters that tell of what scenarios do; meanings in the kernel's `networking/snmp_counter.rst`.
const TOLD: &[&str] = &[
    "EstabResets",
    "OutRsts",
    "RetransSegs",
    "ListenOverflows",
    "ListenDrops",
    "TCPReqQFullDrop",
    "TCPReqQFullDoCookies",
    "TCPAbortOnData",
    "TCPAbortOnClose",
    "TCPAbortOnTimeout",
    "TCPAbortOnMemory",
    "TCPTimeouts",
    "TCPToZeroWindowAdv",
    RECEIVE_BUFFER_ERRORS,
    "NoPorts",
];

/// How many UDP datagrams have been read in the namespace that a process is in, since it was made.
pub(crate) fn datagrams_read(pid: i32) -> u64 {
    let file = |name: &str| text_of(format!("/proc/{pid}/net/{name}"));
    let (v4, v6) = (file("snmp"), file("snmp6"));
    let v6 = v6.unwrap_or_default();
    let of_v6 = v6
        .lines()
        .find_map(|line| line.strip_prefix("Udp6InDatagrams"));
    let of_v6 = of_v6.and_then(|value| value.trim().parse().ok());
    in_datagrams(&v4.unwrap_or_default()).unwrap_or(0) + of_v6.unwrap_or(0)
}

pub(super) fn in_datagrams(snmp: &str) -> Option<u64> {
    let mut lines = snmp.lines().filter(|line| line.starts_with("Udp:"));
    let (names, values) = (lines.next()?, lines.next()?);
    let names = names.split_ascii_whitespace();
    let at = names.clone().position(|name| name == "InDatagrams")?;
    values.split_ascii_whitespace().nth(at)?.parse().ok()
}

/// Counters of a network namespace at a moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counters(BTreeMap<&'static str, u64>);

impl Counters {
    /// Reads the counters of the namespace that a process is in.
    pub(crate) fn of(pid: i32) -> Self {
        let mut found = BTreeMap::new();
        for file in ["snmp", "netstat"] {
            let text = text_of(format!("/proc/{pid}/net/{file}")).unwrap_or_default();
            take_in(&text, &mut found);
        }
        Self(found)
    }

    /// What moved since `before`.
    pub(crate) fn since(&self, before: &Self) -> Vec<(String, u64)> {
        let moved = self.0.iter().map(|(name, value)| {
            let before = before.0.get(name).copied().unwrap_or(0);
            ((*name).to_owned(), value.saturating_sub(before))
        });
        moved.filter(|(_, by)| *by > 0).collect()
    }
}

/// Reads pairs of lines: names, then values, each with the protocol in front.
pub(super) fn take_in(text: &str, found: &mut BTreeMap<&'static str, u64>) {
    let mut lines = text.lines();
    while let (Some(names), Some(values)) = (lines.next(), lines.next()) {
        let pairs = names
            .split_ascii_whitespace()
            .zip(values.split_ascii_whitespace());
        for (name, value) in pairs {
            let told = TOLD.iter().find(|told| **told == name);
            if let (Some(told), Ok(value)) = (told, value.parse::<u64>()) {
                let counted = found.entry(told).or_default();
                *counted = counted.saturating_add(value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn datagrams_that_were_read_stand_in_their_column() {
        let snmp = "Tcp: InSegs\nTcp: 5\nUdp: InDatagrams NoPorts\nUdp: 7 2\n";
        assert_eq!(in_datagrams(snmp), Some(7));
    }

    #[test]
    fn only_what_moved_is_told() {
        let mut found = BTreeMap::new();
        take_in(
            "Tcp: ActiveOpens EstabResets OutRsts\nTcp: 5 2 0\n",
            &mut found,
        );
        let before = Counters(BTreeMap::from([("EstabResets", 1)]));
        assert_eq!(
            Counters(found).since(&before),
            [("EstabResets".to_owned(), 1)]
        );
    }
}
