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

/// Conversations of every kind, for what a promise is worth beside one of them.
const KINDS: &[&str] = &[
    "",
    "exchange = [{ send = 'a request', reply = 'a reply' }]",
    "model = 'echo'\nframing = 'stream'",
    "model = 'echo'\nframing = 'line'",
    "transport = 'udp'\nmodel = 'echo'\nframing = 'datagram'",
];

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

/// The ids of checks of which a need is met by something, and of those of which one is met no more.
#[derive(Debug, Default)]
pub(super) struct Changed {
    pub(super) gained: Vec<&'static str>,
    pub(super) lost: Vec<&'static str>,
}

impl Changed {
    /// What changes for any check between servers of which this is known and those of which that is.
    fn between(pairs: &[(Subject, Subject)]) -> Self {
        let mut changed = Self::default();
        for check in all() {
            if pairs
                .iter()
                .any(|(before, after)| meets_more(check, before, after))
            {
                changed.gained.push(check.id);
            }
            if pairs
                .iter()
                .any(|(before, after)| meets_more(check, after, before))
            {
                changed.lost.push(check.id);
            }
        }
        changed
    }
}

/// Whether something that the check needs is met by one server and not by the other.
fn meets_more(check: &Check, less: &Subject, more: &Subject) -> bool {
    let needs = check.needs.iter();
    needs
        .into_iter()
        .any(|need| !(need.met)(less) && (need.met)(more))
}

/// What is changed by a conversation that a profile describes, in the place of the one that another describes.
pub(super) fn by_the_conversation(before: &str, text: &str) -> Changed {
    let (Ok(before), Ok(after)) = (
        Profile::parse("before", before),
        Profile::parse("after", text),
    ) else {
        return Changed::default();
    };
    let on = after.transport.unwrap_or(Transport::Tcp);
    let known = |profile| Subject::of(profile, Place::on(on));
    Changed::between(&[(known(before), known(after))])
}

/// What is changed by a promise, as it is written in files, beside a conversation that it goes with.
pub(super) fn by_a_promise(setting: &str) -> Changed {
    let pairs = KINDS.iter().filter_map(|kind| {
        let silent = Profile::parse("silent", kind).ok()?;
        let promising = silent.clone().promising_also(setting).ok()?;
        let on = silent.transport.unwrap_or(Transport::Tcp);
        let known = |profile| Subject::of(profile, Place::on(on));
        Some((known(silent), known(promising)))
    });
    Changed::between(&pairs.collect::<Vec<_>>())
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

    #[test]
    fn conversations_that_promises_are_tried_beside_are_understood() {
        for kind in KINDS {
            assert!(Profile::parse("kind", kind).is_ok(), "{kind}");
        }
    }
}
