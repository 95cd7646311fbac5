//! Properties: any legal client, any cut. The scenarios are drawn, and a failure is made small before it is shown.

use crate::checks::counterexample::{Stream, answer, bind, each, listen};
use crate::model::check::{Check, Counterexample, Policy};
use crate::model::defect::Defect;
use crate::model::need::Need;
use crate::model::scenario::Scenario;
use crate::model::subject::Subject;
use crate::property::Rules;
use std::collections::HashMap;
use std::io::{Read, Write};

fn drawn(subject: &Subject) -> Option<Vec<Scenario>> {
    Rules::of(subject).map(|rules| rules.batches())
}

const WHY: &str = "Most faults need two things at once, such as a cut and a size or two clients and a reset, and nobody \
                   writes all of the pairs down; a size above a buffer and an edge-triggered loop stalled in production \
                   for days: https://github.com/march-language/march/pull/260 \
                   https://github.com/aether-lang-dev/aether/issues/1834";

const METHOD: &str = "Up to four clients, drawn from the seed, connect, send words of sizes around which buffers end, \
                        cut and coalesced, read late or slowly, half-close, reset, leave and come back, in any order \
                        that the profile allows, with the server stopped meanwhile or not; datagrams come doubled, swapped \
                        and piled up. `--cases` says how many; behind the first thirty, a server that promises how it \
                        stops is also ended and started again between connections. A failure is made as small as it goes.";

/// Loses what follows a part of a word that was longer than a buffer.
fn lose_behind_a_buffer(stream: &mut Stream) -> std::io::Result<()> {
    let mut buffer = vec![0; 4_096];
    let mut was_full = false;
    loop {
        let bytes = stream.read(&mut buffer)?;
        if bytes == 0 {
            return Ok(());
        }
        let dropped = usize::from(was_full && bytes < buffer.len());
        was_full = bytes == buffer.len();
        stream.write_all(&buffer[..bytes - dropped])?;
    }
}

/// Forgets the beginning of a line that came in more than two parts.
fn forget_the_beginning(stream: &mut Stream) -> std::io::Result<()> {
    let mut parts: Vec<Vec<u8>> = Vec::new();
    answer(stream, |bytes| {
        let end = bytes.iter().rposition(|byte| *byte == b'\n');
        let Some(end) = end else {
            parts.push(bytes.to_vec());
            return Vec::new();
        };
        let (whole, rest) = bytes.split_at(end + 1);
        let begun = parts.pop().unwrap_or_default();
        parts.clear();
        parts.extend(Some(rest.to_vec()).filter(|rest| !rest.is_empty()));
        [begun, whole.to_vec()].concat()
    })
}

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "property/stream",
        requirement: "Whatever legal clients do in whatever order, each gets what the model owes it, to the byte.",
        why: WHY,
        method: METHOD,
        quantities: "Thirty cases find a fault that one in ten shows with a chance of 96 in a hundred, and no row of \
                     the catalogue should take longer. With --deep a thousand: one in three hundred is found as \
                     surely; --cases says any other number.",
        fix: "Read the smallest case: each of its steps is needed for the failure.",
        defect: &Defect::WHOLE_WRITES,
        needs: &[Need::STREAM, Need::STREAM_MODEL],
        policy: Policy {
            drawn: true,
            ..Policy::MUST
        },
        scenarios: drawn,
        counterexample: Counterexample {
            instead_of: "echo",
            shows: "step-failed",
            serve: |address| each(&listen(address)?, lose_behind_a_buffer),
        },
    },
    Check {
        id: "property/line",
        requirement: "Whatever legal clients do in whatever order, each gets the answer to each of its lines.",
        why: WHY,
        method: METHOD,
        quantities: "Thirty cases find a fault that one in ten shows with a chance of 96 in a hundred, and no row of \
                     the catalogue should take longer. With --deep a thousand: one in three hundred is found as \
                     surely; --cases says any other number.",
        fix: "Read the smallest case: each of its steps is needed for the failure.",
        defect: &Defect::FRAMING,
        needs: &[Need::STREAM, Need::LINE_MODEL],
        policy: Policy {
            drawn: true,
            ..Policy::MUST
        },
        scenarios: drawn,
        counterexample: Counterexample {
            instead_of: "line-echo",
            shows: "step-failed",
            serve: |address| each(&listen(address)?, forget_the_beginning),
        },
    },
    Check {
        id: "property/datagram",
        requirement: "Whatever datagrams come from whomever in whatever order, each is answered exactly or dropped whole.",
        why: WHY,
        method: METHOD,
        quantities: "Thirty cases find a fault that one in ten shows with a chance of 96 in a hundred, and no row of \
                     the catalogue should take longer. With --deep a thousand: one in three hundred is found as \
                     surely; --cases says any other number.",
        fix: "Read the smallest case: each of its steps is needed for the failure.",
        defect: &Defect::DATAGRAMS,
        needs: &[Need::DATAGRAM, Need::MODEL],
        policy: Policy {
            drawn: true,
            ..Policy::MUST
        },
        scenarios: drawn,
        counterexample: Counterexample {
            instead_of: "udp-echo",
            shows: "step-failed",
            serve: |address| {
                let socket = bind(address)?;
                let mut buffer = vec![0; 65_536];
                // What came last from each sender.
                let mut last: HashMap<_, usize> = HashMap::new();
                loop {
                    let (bytes, from) = socket.recv_from(&mut buffer)?;
                    let before = last.insert(from, bytes).unwrap_or(0);
                    // The length is kept from the datagram before, where that was the longer one.
                    let length = if before > 1_024 { before } else { bytes };
                    // A reply that cannot be sent is the network's loss, not the server's end.
                    let _ = socket.send_to(&buffer[..length], from);
                }
            },
        },
    },
    Check {
        id: "property/exchange",
        requirement: "However the requests of a dialogue are cut, timed and mixed with those of others, each is answered.",
        why: WHY,
        method: METHOD,
        quantities: "Thirty cases find a fault that one in ten shows with a chance of 96 in a hundred, and no row of \
                     the catalogue should take longer. With --deep a thousand: one in three hundred is found as \
                     surely; --cases says any other number.",
        fix: "Read the smallest case: each of its steps is needed for the failure.",
        defect: &Defect::FRAMING,
        needs: &[Need::STREAM, Need::EXCHANGES],
        policy: Policy {
            drawn: true,
            ..Policy::MUST
        },
        scenarios: drawn,
        counterexample: Counterexample {
            instead_of: "chat",
            shows: "step-failed",
            serve: |address| {
                each(&listen(address)?, |stream| {
                    let mut begun = Vec::new();
                    answer(stream, |bytes| {
                        begun.extend_from_slice(bytes);
                        let mut said = Vec::new();
                        let mut lines = 0;
                        while let Some(end) = begun.iter().position(|byte| *byte == b'\n') {
                            let line: Vec<u8> = begun.drain(..=end).collect();
                            let line = line.strip_suffix(b"\n").unwrap_or(&line);
                            let line = line.strip_suffix(b"\r").unwrap_or(line);
                            lines += 1;
                            said.extend([b"operator: you said ", line, b"\n"].concat());
                        }
                        // What is left over behind two answers is thrown away with the buffer.
                        if lines > 1 {
                            begun.clear();
                        }
                        said
                    })
                })
            },
        },
    },
];
