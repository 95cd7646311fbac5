//! The server that a check is shown on: the one that its counterexample stands in the place of, where all is known that lets
//! something be tried.

use crate::model::check::Check;
use crate::model::need::Need;
use crate::model::profile::{Profile, Transport};
use crate::model::subject::{Place, Subject};

/// A server that speaks so, of which all is known that lets something be tried.
pub(crate) fn known(profile: Profile, transport: Transport) -> Subject {
    let place = Place {
        backlog: Some(128),
        wildcard: true,
        ipv6: true,
        dual_stack: true,
        ..Place::on(transport)
    };
    Subject {
        own_namespace: true,
        told_loopback: true,
        ..Subject::of(profile, place)
    }
}

/// The server that a check is shown on; none where its profile does not say what the check needs.
pub(crate) fn subject(check: &Check) -> Option<Subject> {
    let profile = Profile::find(check.counterexample.instead_of).ok()?;
    let transport = profile.transport.unwrap_or(Transport::Tcp);
    let transport = match (check.needs.contains(&Need::LOCAL), transport.is_datagram()) {
        (false, _) => transport,
        (true, false) => Transport::Unix,
        (true, true) => Transport::UnixDatagram,
    };
    let subject = Subject {
        deep: check.needs.contains(&Need::DEEP),
        ..known(profile, transport)
    };
    check.unmet(&subject).is_none().then_some(subject)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks;

    #[test]
    fn every_check_can_be_shown_on_its_server() {
        for check in checks::all() {
            let subject = subject(check).unwrap_or_else(|| panic!("{}", check.id));
            let scenarios = (check.scenarios)(&subject).unwrap_or_default();
            assert!(!scenarios.is_empty(), "{}", check.id);
        }
    }
}
