//! Requests that are lines.

use super::conversation::{BUFFER_BYTES, Conversation};
use std::io;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// The lines of one client.
pub(super) struct Lines {
    limit_bytes: usize,
    buffer: Vec<u8>,
    /// What has come of a line that is not whole yet.
    begun: Vec<u8>,
    /// In which time a line that has begun has to be whole.
    within: Option<Duration>,
}

impl Lines {
    /// Lines of `limit_bytes` at most, newline included; memory must end somewhere. It is more than is read at a time, so
    /// that only the first of several lines can be too long.
    pub(super) fn up_to(limit_bytes: usize) -> Self {
        Self {
            limit_bytes,
            buffer: vec![0; BUFFER_BYTES],
            begun: Vec::new(),
            within: None,
        }
    }

    /// The same, each of which has to be whole so long after its first byte.
    pub(super) fn whole_within(self, time: Duration) -> Self {
        Self {
            within: Some(time),
            ..self
        }
    }

    /// Waits for a line and returns all that are whole, newlines included; `None` at the end, and for a line that is
    /// longer than the limit or takes too long. A last line without a newline is not one.
    pub(super) async fn next(&mut self, client: &mut Conversation) -> io::Result<Option<Vec<u8>>> {
        let mut whole_by = self.whole_by();
        while self.begun.len() < self.limit_bytes {
            let count = match (self.begun.is_empty(), whole_by) {
                (true, _) => client.read(&mut self.buffer).await?,
                (false, None) => client.read_rest(&mut self.buffer).await?,
                (false, Some(whole_by)) => {
                    let rest = timeout_at(whole_by, client.read_rest(&mut self.buffer)).await;
                    rest.unwrap_or(Ok(0))?
                }
            };
            if self.begun.is_empty() {
                whole_by = self.whole_by();
            }
            if count == 0 {
                break;
            }
            if let Some(lines) = self.take(count) {
                let first = lines.split_inclusive(|byte| *byte == b'\n').next();
                let fits = first.is_none_or(|line| line.len() <= self.limit_bytes);
                return Ok(fits.then_some(lines));
            }
        }
        Ok(None)
    }

    /// When a line has to be whole that begins now.
    fn whole_by(&self) -> Option<Instant> {
        self.within.map(|time| Instant::now() + time)
    }

    fn take(&mut self, count: usize) -> Option<Vec<u8>> {
        let new = &self.buffer[..count];
        let end = new.iter().rposition(|byte| *byte == b'\n').map(|at| at + 1);
        let (whole, rest) = new.split_at(end.unwrap_or(0));
        let lines = end.map(|_| [std::mem::take(&mut self.begun).as_slice(), whole].concat());
        self.begun.extend_from_slice(rest);
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(chunks: &[&[u8]]) -> Vec<Option<Vec<u8>>> {
        let mut lines = Lines::up_to(100);
        let mut take = |chunk: &&[u8]| {
            lines.buffer[..chunk.len()].copy_from_slice(chunk);
            lines.take(chunk.len())
        };
        chunks.iter().map(&mut take).collect()
    }

    #[test]
    fn line_is_taken_when_its_newline_has_come() {
        let parts: &[&[u8]] = &[b"a", b"b\nc", b"d\n"];
        let lines = [None, Some(b"ab\n".to_vec()), Some(b"cd\n".to_vec())];
        assert_eq!(taken(parts), lines);
    }

    #[test]
    fn lines_that_arrive_together_are_taken_together() {
        assert_eq!(taken(&[b"a\n\nb\nc"]), [Some(b"a\n\nb\n".to_vec())]);
    }
}
