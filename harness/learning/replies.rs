//! What a server has said to clients that repeat what was said to it.

use super::script::{Move, Script};
use crate::model::expectation::End;
use crate::transcript::event::{ClientEvent, Transcript, What};

/// What a server has said, move by move of a script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Replies {
    /// What came to the client of each move that hears, and nothing for the other moves.
    pub(super) heard: Vec<Vec<u8>>,
    /// By which move the server had ended the connection of which client, and how.
    pub(super) ended: Vec<(usize, usize, End)>,
}

impl Replies {
    /// What was seen of a script, each line of whose scenario belongs to one of these moves.
    pub(super) fn to(script: &Script, lines: &[usize], seen: &Transcript) -> Self {
        let clients = script.moves.iter().map(|(who, _)| who + 1).max();
        let mut unheard = vec![Vec::new(); clients.unwrap_or(0)];
        let mut has_closed = vec![false; unheard.len()];
        let mut replies = Self {
            heard: vec![Vec::new(); script.moves.len()],
            ended: Vec::new(),
        };
        let mut now = 0;
        for event in &seen.events {
            match &event.what {
                What::StepBegan(line) => {
                    let next = lines.get(*line).copied().unwrap_or(now);
                    replies.hear(script, now..next, &mut unheard);
                    now = next;
                    if let Some((who, Move::Close)) = script.moves.get(now) {
                        has_closed[*who] = true;
                    }
                }
                // What comes to one who has closed is an answer to that.
                What::Client(id, happened) if has_closed.get(id.who) == Some(&false) => {
                    match happened {
                        ClientEvent::Received(bytes) => {
                            unheard[id.who].extend_from_slice(&bytes.bytes());
                        }
                        // Who is answered by several datagrams is owed the first of them.
                        ClientEvent::Datagram { bytes, .. } if unheard[id.who].is_empty() => {
                            unheard[id.who].extend_from_slice(bytes);
                        }
                        ClientEvent::Ended(end) => replies.ended.push((now, id.who, *end)),
                        _ => {}
                    }
                }
                _ => {}
            }
        }
        replies.hear(script, now..now + 1, &mut unheard);
        replies
    }

    /// Gives what has come to those who have heard it in these moves.
    fn hear(&mut self, script: &Script, moves: std::ops::Range<usize>, unheard: &mut [Vec<u8>]) {
        for n in moves {
            if let Some((who, Move::Hear(_))) = script.moves.get(n) {
                self.heard[n].append(&mut unheard[*who]);
            }
        }
    }

    /// The end that the server has made of a client's connection, and by which move.
    pub(super) fn end_of(&self, who: usize) -> Option<(usize, End)> {
        let mut ends = self.ended.iter().filter(|(_, of, _)| *of == who);
        ends.next().map(|(n, _, end)| (*n, *end))
    }

    /// What was heard, in the order of the moves that hear.
    pub(super) fn in_order(self, script: &Script) -> Vec<Vec<u8>> {
        let moves = script.moves.iter().map(|(_, what)| what);
        let heard = self.heard.into_iter().zip(moves);
        let heard = heard.filter(|(_, what)| matches!(what, Move::Hear(_)));
        heard.map(|(heard, _)| heard).collect()
    }
}
