//! What must hold of whatever is read, a function a reader.

use super::python::compiles;
use crate::checks::all as catalogue_of_checks;
use crate::drill::{DrillFile, format};
use crate::launch::Target;
use crate::model::address;
use crate::model::alarm::Alarm;
use crate::model::alarm_reader::AlarmReader;
use crate::model::data::Match;
use crate::model::date::Date;
use crate::model::literal::{self, Shown, Size};
use crate::model::partition::Partition;
use crate::model::profile::{Profile, Transport, begins_with_something};
use crate::model::scenario::Scenario;
use crate::model::subject::{Place, Subject};
use crate::model::template::{self, Template};
use crate::model::unasked::Unasked;
use crate::report::concluded::NoTests;
use crate::report::diff::Diff;
use crate::report::several::Document;
use crate::reproducer::Reproducer;
use crate::runner::{SavedTrial, merged};
use std::path::{Path, PathBuf};

/// Every way to reach a server, and that it is not known.
const OVER: [Option<Transport>; 5] = [
    None,
    Some(Transport::Tcp),
    Some(Transport::Udp),
    Some(Transport::Unix),
    Some(Transport::UnixDatagram),
];

fn text(bytes: &[u8]) -> &str {
    // What is no text is refused before any reader sees it, and most of it is before its first byte that is none.
    match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default(),
    }
}

/// A scenario file prints and parses to the same, formatting twice is formatting once, and JSON says the same.
pub(super) fn drill(bytes: &[u8]) -> bool {
    let text = text(bytes);
    // One of them, chosen by the input, as all take five times as long.
    let _ = DrillFile::parse_over("f", text, OVER[bytes.len() % OVER.len()]);
    let Ok(file) = DrillFile::parse("f", text) else {
        assert!(format("f", text).is_err(), "it is formatted and no file");
        return false;
    };
    says_the_same_again(&file);
    let formatted = format("f", text).expect("what parses can be formatted");
    assert_eq!(format("f", &formatted).expect("again"), formatted);
    let of_formatted = DrillFile::parse("f", &formatted).expect("what is formatted parses");
    assert_eq!(of_formatted.unnumbered(), file.unnumbered());
    true
}

pub(super) fn json(bytes: &[u8]) -> bool {
    let text = text(bytes);
    let _ = DrillFile::from_json_record("f", text);
    let Ok(file) = DrillFile::from_json("f", text) else {
        return false;
    };
    says_the_same_again(&file);
    true
}

fn says_the_same_again(file: &DrillFile) {
    let plain = file.clone().unnumbered();
    let printed = file.to_string();
    let back = DrillFile::parse("f", &printed);
    let back = back.unwrap_or_else(|error| panic!("what is printed parses: {error}\n{printed}"));
    assert_eq!(back.unnumbered(), plain, "{printed}");
    let json = file.to_json().expect("JSON has room for every value");
    let back = DrillFile::from_json("f", &json);
    let back = back.unwrap_or_else(|error| panic!("what is written parses: {error}\n{json}"));
    assert_eq!(back.unnumbered(), plain, "{json}");
}

/// Small values: each is read back from what is printed of it.
pub(super) fn literals(bytes: &[u8]) -> bool {
    let text = text(bytes);
    let mut is_any = address::listener(text).is_ok();
    assert_eq!(literal::bytes(&literal::escaped(bytes)), Ok(bytes.to_vec()));
    let _ = literal::shown(bytes);
    if let Ok(read) = literal::bytes(text) {
        assert_eq!(literal::bytes(&literal::escaped(&read)), Ok(read));
        is_any |= text.contains('\\');
    }
    if let Ok(time) = literal::duration(text) {
        assert_eq!(literal::duration(&Shown(time).to_string()), Ok(time));
        is_any = true;
    }
    if let Ok(size) = literal::size(text) {
        assert_eq!(literal::size(&Size(size).to_string()), Ok(size));
        is_any = true;
    }
    if let Ok(part) = text.parse::<Partition>() {
        assert_eq!(part.to_string().parse(), Ok(part));
        is_any = true;
    }
    if let Ok(day) = text.parse::<Date>() {
        assert_eq!(day.to_string().parse(), Ok(day));
        is_any = true;
    }
    is_any
}

/// A template, in the first line, prints and parses to the same; what matches goes on matching, and what cannot match any more
/// does not begin to.
pub(super) fn template(bytes: &[u8]) -> bool {
    let (line, said) = bytes.split_at(
        bytes
            .iter()
            .position(|b| *b == b'\n')
            .unwrap_or(bytes.len()),
    );
    let said = said.get(1..).unwrap_or_default();
    let text = text(line);
    let _ = Template::parse_with_an_end(text);
    let _ = template::common(said.split(|byte| *byte == b'\n'));
    let Ok(template) = Template::parse(text) else {
        return false;
    };
    assert_eq!(Template::parse(&template.text()), Ok(template.clone()));
    let _ = (template.excerpt(), template.matches_whole(said));
    assert!(template.took(said).len() <= template.rest.len());
    let whole = template.matches(said);
    for at in (0..said.len()).step_by(said.len() / 32 + 1) {
        let agrees = match (template.matches(&said[..at]), whole) {
            (Match::Full(needed), whole) => needed <= at && whole == Match::Full(needed),
            (Match::Wrong(wrong), whole) => wrong <= at && matches!(whole, Match::Wrong(_)),
            (Match::Partial, _) => true,
        };
        assert!(
            agrees,
            "{at} bytes: {:?}, all: {whole:?}",
            template.matches(&said[..at])
        );
    }
    if let Ok(unasked) = Template::parse_with_an_end(text)
        && begins_with_something(&unasked).is_ok()
    {
        let unasked: Unasked = [unasked].into_iter().collect();
        assert!(unasked.before(said) <= said.len());
    }
    true
}

/// What a server prints has the same alarms in it, however it comes in pieces.
pub(super) fn alarm(bytes: &[u8]) -> bool {
    let all = alarms(bytes.chunks(bytes.len().max(1)));
    for size in [1, 7, 4096] {
        assert_eq!(alarms(bytes.chunks(size)), all, "in pieces of {size}");
    }
    for alarm in &all {
        let _ = (alarm.shape(), alarm.severity(), alarm.words().count());
    }
    !all.is_empty()
}

fn alarms<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Vec<Alarm> {
    let mut reader = AlarmReader::default();
    let mut found = Vec::new();
    for piece in pieces {
        reader.take_in(piece, ());
        found.extend(reader.take(false, ()));
    }
    found.extend(reader.take(true, ()));
    found.into_iter().map(|(_, alarm)| alarm).collect()
}

pub(super) fn profile(bytes: &[u8]) -> bool {
    Profile::parse("p", text(bytes)).is_ok()
}

/// Whatever a profile says, what is done to its server can be written down and read again.
pub(super) fn catalogue(bytes: &[u8]) -> bool {
    let Ok(profile) = Profile::parse("p", text(bytes)) else {
        return false;
    };
    let transport = profile.transport.unwrap_or(Transport::Tcp);
    let place = Place {
        backlog: Some(4),
        ..Place::on(transport)
    };
    let subject = Subject::of(profile, place);
    for check in catalogue_of_checks() {
        if check.unmet(&subject).is_none() {
            let scenarios = (check.scenarios)(&subject).into_iter().flatten();
            scenarios.for_each(|scenario| can_be_repeated(check.id, scenario, transport));
        }
    }
    true
}

fn can_be_repeated(id: &str, scenario: Scenario, transport: Transport) {
    // Nobody performs it.
    if scenario.lines.is_empty() {
        return;
    }
    let text = scenario.to_string();
    let back = DrillFile::parse_over(id, &text, Some(transport));
    let back = back.unwrap_or_else(|error| panic!("{id}: {error}\n{text}"));
    assert_eq!(back.to_string(), text, "{id}");
}

pub(super) fn target(bytes: &[u8]) -> bool {
    let Ok(target) = Target::parse("t", text(bytes), Path::new("")) else {
        return false;
    };
    let _ = (
        target.command_line(),
        target.names_loopback(),
        target.takes_any_place(),
    );
    true
}

/// Any scenario is a Python program.
pub(super) fn python(bytes: &[u8]) -> bool {
    let Ok(file) = DrillFile::parse("f", text(bytes)) else {
        return false;
    };
    let transports = [Transport::Tcp, Transport::Udp, Transport::Unix];
    let target = |transport| {
        let profile = Profile {
            transport: Some(transport),
            ..Profile::unknown()
        };
        Target::command(["./server", "{port}"], profile)
    };
    let scenarios: Vec<_> = file.cases.iter().map(|case| &case.scenario).collect();
    // One of them, chosen by the input: to compile takes far longer than all else.
    let transport = transports[bytes.len() % transports.len()];
    is_a_program(&scenarios, &target(transport))
}

/// Any target can be started by a Python program.
pub(super) fn python_of_target(bytes: &[u8]) -> bool {
    let Ok(target) = Target::parse("t", text(bytes), Path::new("")) else {
        return false;
    };
    let case = "case c\n  clients: alice\n\n  alice connect\n";
    let file = DrillFile::parse("f", case).expect("a case");
    let scenarios: Vec<_> = file.cases.iter().map(|case| &case.scenario).collect();
    is_a_program(&scenarios, &target)
}

fn is_a_program(scenarios: &[&Scenario], target: &Target) -> bool {
    let Ok(written) = Reproducer::of(scenarios, target) else {
        return false;
    };
    if let Err(why) = compiles(&written.program) {
        panic!("{why}\n{}", written.program);
    }
    true
}

/// How much the summary of a step may have here.
const MOST_SUMMARY: usize = 5_000;

/// A report is read back from what is written of it, one that is merged from itself is itself, and beside another target's it is one of
/// two; every form can be written.
pub(super) fn report(bytes: &[u8]) -> bool {
    let Ok(document) = Document::parse("r", text(bytes)) else {
        return false;
    };
    let json = document.to_json();
    let back = Document::parse("r", &json).expect("what is written is read");
    assert_eq!(back.to_json(), json);
    for report in document.reports() {
        let _ = (report.closing_text(), report.lines().count());
    }
    let page = document.to_html();
    assert!(!page.contains('\0'), "a byte that no page may have");
    #[cfg(feature = "report")]
    let _ = document.to_junit();
    let _ = document.exit_code(NoTests::Fail);
    let _ = document.to_code_quality();
    let summary = document.to_summary(MOST_SUMMARY);
    assert!(summary.len() <= MOST_SUMMARY, "{}", summary.len());
    let commands = document.to_workflow_commands(&|file| Some(file.to_owned()));
    let are_commands = |line: &str| line.starts_with("::error ") || line.starts_with("::warning ");
    assert!(commands.lines().all(are_commands), "{commands}");
    let same = Diff::of(document.reports(), document.reports());
    let _ = (same.told(), same.to_json());
    let are_several = document.reports().len() > 1;
    let parts = [("a", document.clone()), ("b", document)];
    let parts = parts
        .map(|(file, part)| (PathBuf::from(file), part))
        .to_vec();
    let Ok((whole, _)) = merged(parts) else {
        // Somebody else's may name a target twice, with another seed each.
        assert!(are_several, "both are of one run");
        return true;
    };
    let again = Document::parse("r", &whole.to_json()).expect("what is merged is read");
    assert_eq!(again.to_json(), whole.to_json());
    true
}

/// What was seen is judged without a panic, and is read back from what is written of it.
pub(super) fn saved(bytes: &[u8]) -> bool {
    let Ok(saved) = SavedTrial::parse("s", text(bytes)) else {
        return false;
    };
    let again = saved.judged_again();
    assert_eq!(saved.judged_again(), again, "the judge is of two minds");
    let mut json = Vec::new();
    saved
        .write(&mut json)
        .expect("JSON has room for every value");
    let json = String::from_utf8(json).expect("JSON is text");
    let back = SavedTrial::parse("s", &json);
    let back = back.unwrap_or_else(|error| panic!("what is written is read: {error}\n{json}"));
    assert_eq!(back, saved, "{json}");
    true
}
