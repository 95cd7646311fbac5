//! What a bundle says to people: what its files are, how it is used, and what the server has printed.

use super::bundle_index::Index;
use crate::foreign::{LINE, TERMINAL};
use crate::launch::command_line;
use crate::model::literal::Measured;
use crate::report::data::CheckResult;
use crate::runner::BUNDLE_INDEX;
use crate::transcript::event::{ClientEvent, ServerEvent, Transcript, What};
use std::fmt::Write as _;
use std::path::Path;

/// What the server has printed, byte for byte and for people.
pub(super) fn output(transcript: &Transcript) -> (Vec<u8>, String) {
    let mut raw = Vec::new();
    let mut text =
        "Standard output and standard error of the server, as they came: both go into one pipe.\n"
            .to_owned();
    for event in &transcript.events {
        let What::Server(happened) = &event.what else {
            continue;
        };
        let at = Measured(event.at);
        // Nothing keeps a string from being written to.
        let _ = match happened {
            ServerEvent::Output(bytes) => {
                raw.extend_from_slice(bytes);
                let printed = String::from_utf8_lossy(bytes);
                writeln!(
                    text,
                    "--- {at}\n{}",
                    TERMINAL.text(printed.trim_end_matches('\n'))
                )
            }
            ServerEvent::OutputCut(bytes) => writeln!(
                text,
                "--- {at}: here it printed {bytes} bytes more, which were not kept"
            ),
            ServerEvent::Started { .. } | ServerEvent::Exited(_) => {
                writeln!(
                    text,
                    "--- {at}: server {}",
                    LINE.text(&happened.to_string())
                )
            }
            _ => Ok(()),
        };
    }
    (raw, text)
}

/// The port at which the server was reached over TCP, which Wireshark may take for that of another protocol.
pub(super) fn port(transcript: &Transcript) -> Option<u16> {
    let mut events = transcript.events.iter();
    events.find_map(|event| match &event.what {
        What::Client(
            _,
            ClientEvent::Connected {
                peer: Some(peer),
                datagrams: false,
                ..
            },
        ) => Some(peer.port()),
        _ => None,
    })
}

/// What the bundle is and how it is used, for who has found it.
pub(super) fn readme(
    index: &Index,
    result: &CheckResult,
    folder: &Path,
    port: Option<u16>,
) -> String {
    let date = index.date.iter().map(|date| format!(", {date}"));
    let mut text = format!(
        "A failure that sockdrill {} has found on {}{}\n\n{}: {}\n  {}\n\n",
        index.sockdrill,
        index.host,
        date.collect::<String>(),
        index.id,
        index.requirement,
        index.reason,
    );
    let own = (BUNDLE_INDEX, "what this is, for sockdrill");
    let files = index.files.iter();
    let files = files.map(|(name, about)| (name.as_str(), about.as_str()));
    for (name, about) in files.chain([own]) {
        let _ = writeln!(text, "{name:<16} {about}");
    }
    let here = index.folder.to_string_lossy();
    let _ = writeln!(text, "\nIn the folder {here}, in which the server ran:");
    for (what, command) in commands(index, result, folder, port) {
        let _ = writeln!(text, "  {what}:\n    {command}");
    }
    text.push_str(
        "\nOf the environment only what is in bundle.toml was written down, as the rest may be secret; files of keys are named, and not \
         copied.\n",
    );
    TERMINAL.text(&text).into_owned()
}

/// What can be done with a bundle, and how that is typed.
fn commands(
    index: &Index,
    result: &CheckResult,
    folder: &Path,
    port: Option<u16>,
) -> Vec<(&'static str, String)> {
    let within = |file: &str| folder.join(file).to_string_lossy().into_owned();
    let (trace, program) = (within("trace.pcapng"), within("reproduce.py"));
    let folder = folder.to_string_lossy();
    let place = port.map_or(["--path", "{path}"], |_| ["--port", "{port}"]);
    let other = ["--", "./server"].into_iter().chain(place);
    let port = port.map(|port| format!("tcp.port=={port},data"));
    let as_data = port.iter().flat_map(|rule| ["-d", rule]);
    let replay = ["sockdrill", "replay", &folder];
    let commands = [
        ("run it again on this server", Some(command_line(replay))),
        (
            "and on another build of it",
            Some(command_line(replay.into_iter().chain(other))),
        ),
        (
            "judge what was seen once more",
            Some(command_line(["sockdrill", "judge", &folder])),
        ),
        (
            "show the packets",
            Some(command_line(
                ["tshark", "-r", &trace].into_iter().chain(as_data),
            )),
        ),
        (
            "do the same without sockdrill",
            index
                .files
                .contains_key("reproduce.py")
                .then(|| command_line(["python3", &program])),
        ),
        ("repeat the part of the run", result.reproduce.clone()),
    ];
    let commands = commands.into_iter();
    commands
        .filter_map(|(what, command)| Some((what, command?)))
        .collect()
}
