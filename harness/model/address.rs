//! Where a server listens.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Where a server listens, or is told to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Address {
    /// An IP address and port, for TCP and UDP.
    Inet(SocketAddr),
    /// A path, for Unix sockets.
    Path(PathBuf),
}

/// Which of several listeners is meant, as files and command lines say it: by its port, or by its address.
///
/// # Errors
/// It is neither; says what to write.
pub(crate) fn listener(text: &str) -> Result<String, String> {
    let is_port = text.parse::<u16>().is_ok_and(|port| port != 0);
    let is_address = text.parse::<SocketAddr>().is_ok() || text.starts_with('/');
    match is_port || is_address {
        true => Ok(text.to_owned()),
        false => Err(format!(
            "`{text}` is neither a port nor an address; write which listener is meant, such as \"8080\", \
             \"127.0.0.1:8080\" or \"/run/server.socket\" (what a server speaks over is its profile's transport)"
        )),
    }
}

impl Address {
    /// Whether it is of this host alone: its loopback, or a path.
    pub(crate) fn is_here(&self) -> bool {
        match self {
            Self::Inet(address) => is_here(*address),
            Self::Path(_) => true,
        }
    }
}

/// Whether an address is of this host's loopback.
pub(crate) fn is_here(address: SocketAddr) -> bool {
    address.ip().to_canonical().is_loopback()
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inet(address) => address.fmt(f),
            Self::Path(path) => path.display().fmt(f),
        }
    }
}
