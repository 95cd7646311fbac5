//! Waits for one datagram, but not for ever.

use super::server::{BACKLOG, Manner, ReferenceServer};
use super::udp_receiver;
use crate::model::profile::{Serves, Sessions};
use std::time::Duration;

pub(super) const UDP_TIMEOUT: ReferenceServer = ReferenceServer {
    name: "udp-timeout",
    about: "Waits three seconds for one datagram, prints it or that nobody came, and ends.",
    serves: Serves::OneConnection,
    backlog: BACKLOG,
    sessions: Sessions::Closed,
    room: None,
    manner: Manner::Wait(PATIENCE, |came| match came {
        Some((datagram, from)) => udp_receiver::line(datagram, &from),
        None => "nobody came".to_owned(),
    }),
};

/// Long enough for a person to type something, short enough to wait for.
const PATIENCE: Duration = Duration::from_secs(3);
