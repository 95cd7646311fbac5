//! Whether a server that somebody else has started answers.

use super::elsewhere::{Elsewhere, takes};
use super::readiness::{Place, pause_after};
use super::target::Target;
use crate::foreign::LINE;
use crate::launch::lab::Lab;
use crate::model::address::{Address, is_here};
use crate::model::error::Error;
use crate::model::limits::STEP_WITHIN;
use crate::model::literal::Shown;
use crate::model::profile::{Serves, Transport};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Waits until a server that somebody else has started is there. Where the kernel shows a listener of this host, nobody calls it for
/// that; of any other place only a call tells.
pub(super) async fn answering(
    target: &Target,
    elsewhere: &Elsewhere,
    lab: &Lab,
) -> Result<Place, Error> {
    let transport = match target.profile.transport {
        Some(local) if local.is_local() => {
            return Err(Error::Usage(format!(
                "the profile is of a server on a Unix socket ({local}), and {} is an address of TCP or UDP",
                LINE.text(&elsewhere.address)
            )));
        }
        transport => transport.unwrap_or(Transport::Tcp),
    };
    if target.profile.promises.serves == Some(Serves::OneConnection) {
        return Err(Error::Usage(
            "serves = \"one-connection\" is promised: nobody starts a server for the next connection where somebody else has \
             started this one"
                .to_owned(),
        ));
    }
    let begun = Instant::now();
    loop {
        let (places, mut why) = match elsewhere.places() {
            Ok(places) => (places, "there is no such place".to_owned()),
            Err(Error::NotReached { why, .. }) => (Vec::new(), why),
            Err(refused) => return Err(refused),
        };
        for place in places {
            match call(lab, transport, place).await {
                Ok(()) => {
                    return Ok(Place {
                        transport,
                        address: Address::Inet(place),
                        wildcard: false,
                        inode: 0,
                    });
                }
                Err(error) => why = error,
            }
        }
        if begun.elapsed() >= target.ready_within {
            let waited = Some(begun.elapsed()).filter(|_| target.ready_within > Duration::ZERO);
            let address = elsewhere.address.clone();
            return Err(Error::NotReached {
                address,
                why,
                waited,
            });
        }
        // Nothing announces that somebody else's server listens.
        tokio::time::sleep(pause_after(begun.elapsed())).await;
    }
}

/// Whether somebody is there; says what was met instead.
async fn call(lab: &Lab, transport: Transport, place: SocketAddr) -> Result<(), String> {
    let rows = match transport.is_datagram() {
        true => lab.diag().udp(),
        false => lab.diag().listeners(),
    };
    let listeners = rows.unwrap_or_default();
    let is_listed = listeners.iter().any(|row| takes(row, place));
    let is_here = is_here(place);
    match (is_here && is_listed, transport.is_datagram()) {
        (true, _) => Ok(()),
        (false, true) if is_here => Err("no UDP socket is bound there".to_owned()),
        // Of a UDP server on another host only its replies tell.
        (false, true) => Ok(()),
        (false, false) => {
            let call = tokio::net::TcpStream::connect(place);
            match tokio::time::timeout(STEP_WITHIN, call).await {
                Ok(Ok(_)) => Ok(()),
                Ok(Err(error)) => Err(error.to_string()),
                Err(_) => Err(format!("no answer to a SYN within {}", Shown(STEP_WITHIN))),
            }
        }
    }
}
