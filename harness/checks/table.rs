//! The table of all checks.

#[cfg(feature = "property")]
use super::property;
use super::{
    address, backlog, bytes, crowd, datagram, half_close, local, partial, polite, reset, stop,
    syscall, time_wait, timeout,
};
use crate::model::check::Check;

/// The families in the order of reports.
const FAMILIES: &[&[Check]] = &[
    polite::CHECKS,
    reset::CHECKS,
    half_close::CHECKS,
    partial::CHECKS,
    timeout::CHECKS,
    time_wait::CHECKS,
    backlog::CHECKS,
    crowd::CHECKS,
    stop::CHECKS,
    syscall::CHECKS,
    bytes::CHECKS,
    datagram::CHECKS,
    local::CHECKS,
    address::CHECKS,
    #[cfg(feature = "property")]
    property::CHECKS,
];

/// Every check there is, in the order of reports.
///
/// ```
/// let reset = sockdrill::catalogue().into_iter().find(|check| check.id == "reset/mid-request");
/// assert_eq!(reset.expect("a permanent id").family(), "reset");
/// ```
pub fn all() -> Vec<&'static Check> {
    FAMILIES.iter().flat_map(|family| family.iter()).collect()
}

/// The check with an id.
pub(crate) fn find(id: &str) -> Option<&'static Check> {
    all().into_iter().find(|check| check.id == id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::observations::{OBSERVATIONS, Occasion};
    use crate::checks::staged::known;
    use crate::drill::DrillFile;
    use crate::model::action::Action;
    use crate::model::expectation::Expectation;
    use crate::model::need::{Need, Unmet};
    use crate::model::profile::{Profile, Transport};
    use crate::model::scenario::{ClientGroup, Line, Scenario, Step};
    use crate::model::subject::{Place, Subject};
    use crate::model::tls::TlsOptions;
    use std::collections::HashSet;

    /// Everything that is done to this server, with the name of what does it.
    fn all_scenarios(subject: &Subject) -> Vec<(&'static str, Scenario)> {
        let checks = all().into_iter().filter(|row| row.unmet(subject).is_none());
        let checks = checks.flat_map(|check| {
            let scenarios = (check.scenarios)(subject).into_iter().flatten();
            scenarios.map(|scenario| (check.id, scenario))
        });
        let observations = OBSERVATIONS.iter().filter_map(|row| match row.occasion {
            Occasion::Own(scenario)
                if row.needs.iter().all(|need| need.unmet(subject).is_none()) =>
            {
                Some((row.name, scenario(subject)?))
            }
            _ => None,
        });
        checks.chain(observations).collect()
    }

    /// The same server over TLS, where there is such a thing and we speak it.
    fn over_tls(subject: &Subject) -> Vec<Subject> {
        let may = cfg!(feature = "tls") && !subject.place.transport.is_datagram();
        let over_tls = || Subject {
            profile: Profile {
                tls: Some(TlsOptions::default()),
                ..subject.profile.clone()
            },
            ..subject.clone()
        };
        may.then(over_tls).into_iter().collect()
    }

    /// Whether a client says something, or is owed a text, on a bare connection.
    fn speaks_beside_tls(scenario: &Scenario) -> bool {
        let mut is_secured = vec![false; scenario.clients.len()];
        scenario.steps().into_iter().any(|line| {
            let Step::Client { who, action } = &line.step else {
                return false;
            };
            match action {
                Action::Connect(_) => is_secured[*who] = false,
                Action::StartTls(_) => is_secured[*who] = true,
                _ => {}
            }
            let speaks = match action {
                Action::Send { .. } => true,
                action => matches!(
                    action.awaited(),
                    Some(Expectation::Data(_) | Expectation::Template(_))
                ),
            };
            speaks && !is_secured[*who]
        })
    }

    #[test]
    fn nothing_but_garbage_is_said_to_a_server_over_tls_beside_it() {
        let mut beside = HashSet::new();
        for (name, text) in Profile::built_in() {
            let profile = Profile::parse(name, text).unwrap();
            let transport = profile.transport.unwrap_or(Transport::Tcp);
            for subject in over_tls(&known(profile, transport)) {
                let all = all_scenarios(&subject).into_iter();
                let bare = all.filter(|(_, scenario)| speaks_beside_tls(scenario));
                beside.extend(bare.map(|(id, _)| id));
            }
        }
        let known = match cfg!(feature = "tls") {
            true => HashSet::from(["bytes/garbage"]),
            false => HashSet::new(),
        };
        assert_eq!(beside, known);
    }

    #[test]
    fn every_step_that_a_check_takes_can_happen_where_it_stands() {
        for (name, text) in Profile::built_in() {
            let profile = Profile::parse(name, text).unwrap();
            let inet = profile.transport.unwrap_or(Transport::Tcp);
            let local = match inet.is_datagram() {
                true => Transport::UnixDatagram,
                false => Transport::Unix,
            };
            let on = |transport| Subject {
                own_namespace: true,
                ..Subject::of(
                    profile.clone(),
                    Place {
                        backlog: Some(4),
                        ..Place::on(transport)
                    },
                )
            };
            let subjects = [vec![on(inet), on(local)], over_tls(&on(inet))].concat();
            let all = subjects.iter().flat_map(|subject| {
                let transport = subject.place.transport;
                let scenarios = all_scenarios(subject).into_iter();
                scenarios.map(move |(id, scenario)| (transport, id, scenario))
            });
            for (transport, id, scenario) in all {
                let not_here = scenario.first_impossible_over(transport);
                assert_eq!(not_here, None, "{id} on {name}");
                let text = scenario.to_string();
                let back = DrillFile::parse_over(id, &text, Some(transport));
                let back = back.unwrap_or_else(|error| panic!("{id} on {name}: {error}\n{text}"));
                assert_eq!(back.to_string(), text, "{id} on {name}");
            }
        }
    }

    /// Who promises to cut silent clients early leaves no time to be late in.
    #[test]
    fn check_that_has_nothing_to_do_has_no_scenarios_and_not_no_steps() {
        let text = "[[exchange]]\nsend = 'a'\nreply = 'b'\n[promises]\nidle-timeout = \"1s\"\n";
        let profile = Profile::parse("hasty", text).unwrap();
        let subject = Subject::of(profile, Place::on(Transport::Tcp));
        let late = find("timeout/late-send").unwrap();
        let unmet = Some(Unmet::NotGiven(Need::TIME_TO_BE_LATE));
        assert_eq!(late.unmet(&subject), unmet);
        for check in all() {
            let is_empty = (check.scenarios)(&subject).is_some_and(|some| some.is_empty());
            assert!(!is_empty || check.unmet(&subject).is_some(), "{}", check.id);
        }
    }

    /// What a server has nothing for is said by a need, with its reason.
    #[test]
    fn check_whose_needs_are_met_has_something_to_do() {
        let mut idle_checks: Vec<String> = Vec::new();
        for (name, text) in Profile::built_in() {
            let profile = Profile::parse(name, text).unwrap();
            let transport = profile.transport.unwrap_or(Transport::Tcp);
            let mut subject = known(profile, transport);
            subject.place.backlog = Some(4);
            let met = all()
                .into_iter()
                .filter(|check| check.unmet(&subject).is_none());
            let idle = met.filter(|check| (check.scenarios)(&subject).is_none());
            idle_checks.extend(idle.map(|check| format!("{} on {name}", check.id)));
        }
        assert!(idle_checks.is_empty(), "{idle_checks:#?}");
    }

    /// The largest crowd, repeat and payload of a scenario.
    fn has_large_numbers(scenario: &Scenario) -> bool {
        let is_large = |line: &&Line| match &line.step {
            Step::Repeat { times, .. } => *times > 10,
            Step::Client {
                action: Action::Send { data, .. },
                ..
            } => data.length() > 64 << 10,
            _ => false,
        };
        let is_crowd = |group: &ClientGroup| group.members > 10;
        scenario.clients.iter().any(is_crowd) || scenario.steps().iter().any(is_large)
    }

    #[test]
    fn large_numbers_are_explained() {
        let all = Profile::built_in().iter().flat_map(|(name, text)| {
            let profile = Profile::parse(name, text).unwrap();
            let place = Place {
                backlog: Some(128),
                ..Place::on(profile.transport.unwrap_or(Transport::Tcp))
            };
            all_scenarios(&Subject::of(profile, place))
        });
        for (id, _) in all.filter(|(_, scenario)| has_large_numbers(scenario)) {
            let explained = find(id).is_none_or(|check| !check.quantities.is_empty());
            assert!(explained, "{id}: say what its numbers are enough for");
        }
    }

    #[test]
    fn what_a_deep_run_does_more_is_told() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/harness/checks");
        let files = std::fs::read_dir(folder).unwrap();
        let sources = files.map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap());
        let mut goes_deeper = 0;
        for source in sources {
            for text in source.split("\n        id: \"").skip(1) {
                let Some(check) = text.split('"').next().and_then(find) else {
                    continue;
                };
                // What follows the last check of a file is of the file.
                let own = text.split("counterexample:").next().unwrap_or(text);
                let is_deeper = own.contains("subject.deep");
                goes_deeper += usize::from(is_deeper);
                let is_told = check.quantities.contains("--deep");
                assert!(is_told || !is_deeper, "{}: say what --deep does", check.id);
                assert!(is_told || check.quantities.is_empty(), "{}", check.id);
            }
        }
        assert!(goes_deeper > 20, "{goes_deeper}");
    }

    #[test]
    fn ids_are_unique_and_have_a_family() {
        let ids: HashSet<_> = all().iter().map(|check| check.id).collect();
        assert_eq!(ids.len(), all().len());
        for check in all() {
            assert!(check.id.contains('/'), "{}", check.id);
        }
    }

    #[test]
    fn every_requirement_is_a_sentence_about_the_server() {
        for check in all() {
            assert!(
                check.requirement.ends_with('.'),
                "{}: {}",
                check.id,
                check.requirement
            );
            assert!(
                !check.why.is_empty() && !check.method.is_empty() && !check.fix.is_empty(),
                "{}",
                check.id
            );
        }
    }
}
