//! Whether a command tells its server to listen on the loopback address alone.

/// The options that take the address to listen on.
const LISTENING_OPTIONS: &[&str] = &[
    "addr",
    "address",
    "b",
    "bind",
    "bind-addr",
    "bind-address",
    "host",
    "interface",
    "ip",
    "l",
    "listen",
    "listen-addr",
    "listen-address",
];

/// Whether a word of a command, between two others, tells the server to listen on 127.0.0.1: by an option for that, or
/// right before its port. A peer of the server may have the same address.
pub(super) fn tells_loopback(before: &str, word: &str, after: &str) -> bool {
    let Some((head, tail)) = word.split_once("127.0.0.1") else {
        return false;
    };
    if tail.starts_with(":{port}") {
        return true;
    }
    let option = match head.strip_suffix('=') {
        Some(option) => option.rsplit(',').next().unwrap_or(option),
        None if head.is_empty() => before,
        None => return false,
    };
    let option = option.trim_start_matches('-').replace('_', "-");
    let is_whole = tail.is_empty() || tail.starts_with(',');
    is_whole
        && (LISTENING_OPTIONS.contains(&option.as_str()) || (head.is_empty() && after == "{port}"))
}

#[cfg(test)]
mod tests {
    use super::tells_loopback;

    #[test]
    fn address_of_a_peer_is_none_to_listen_on() {
        assert!(tells_loopback("--bind", "127.0.0.1", "--port"));
        assert!(tells_loopback("--port", "--listen_address=127.0.0.1", ""));
        assert!(tells_loopback("-p", "127.0.0.1:{port}", ""));
        assert!(tells_loopback("server", "127.0.0.1", "{port}"));
        assert!(tells_loopback(
            "",
            "TCP-LISTEN:{port},bind=127.0.0.1,fork",
            "PIPE"
        ));
        assert!(!tells_loopback("--upstream", "127.0.0.1:9000", ""));
        assert!(!tells_loopback("--redis-host", "127.0.0.1", "--port"));
        assert!(!tells_loopback("{port}", "127.0.0.1", "9000"));
        assert!(!tells_loopback("-c", "print('127.0.0.1')", ""));
    }
}
