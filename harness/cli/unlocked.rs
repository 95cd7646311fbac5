//! How much more can be checked of a server once something is known of what it speaks.

use crate::checks::all;
use crate::model::check::Check;
use crate::model::profile::{Profile, Transport};
use crate::model::subject::{Place, Subject};

/// A profile of a server that answers, and promises what most of them do.
const TALKATIVE: &str = r"
[[exchange]]
send = 'a request\r\n'
reply = 'a reply\r\n'
[promises]
serves = 'concurrently'
after-exchange = 'stays-open'
half-close = 'answers'
pipelining = 'answers'
idle-timeout = 'none'
stop = { signal = 'TERM', within = '5s', in-flight = 'completes' }
";

/// How many checks more there are for a server on this transport that has a profile than for one that has none.
pub(super) fn by_a_profile(transport: Transport) -> usize {
    let Ok(talkative) = Profile::parse("talkative", TALKATIVE) else {
        return 0;
    };
    let known = |profile| Subject::of(profile, Place::on(transport));
    let (blind, talkative) = (known(Profile::unknown()), known(talkative));
    let is_unlocked =
        |check: &&&Check| check.unmet(&blind).is_some() && check.unmet(&talkative).is_none();
    all().iter().filter(is_unlocked).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn profile_unlocks_checks_on_every_transport_and_more_of_them_for_streams() {
        assert!(Profile::parse("talkative", TALKATIVE).is_ok());
        let [tcp, udp] = [Transport::Tcp, Transport::Udp].map(by_a_profile);
        assert!(0 < udp && udp < tcp, "{udp} {tcp}");
        assert!(by_a_profile(Transport::Unix) > 0);
    }
}
