//! Standard output that may be closed, or read by nobody.

use std::io::{self, Write};
use std::thread;
use tokio::sync::{mpsc, oneshot};

/// Prints a line at once. Standard output may be a closed pipe, and a server outlives its audience.
pub(super) fn print(line: &str) {
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// Lines that may wait for a reader of our output before the server waits too.
const WAITING_LINES: usize = 256;

/// A printer in a thread of its own, so that an output pipe that nobody empties does not stop the server from obeying.
pub(super) struct Console {
    lines: mpsc::Sender<String>,
    done: oneshot::Receiver<()>,
}

impl Console {
    pub(super) fn open() -> io::Result<Self> {
        let (lines, mut waiting) = mpsc::channel::<String>(WAITING_LINES);
        let (finished, done) = oneshot::channel();
        let printer = move || {
            while let Some(line) = waiting.blocking_recv() {
                print(&line);
            }
            let _ = finished.send(());
        };
        thread::Builder::new()
            .name("printer".to_owned())
            .spawn(printer)?;
        Ok(Self { lines, done })
    }

    /// Prints a line in its turn.
    pub(super) async fn print(&self, line: String) {
        // The printer ends only after this console.
        let _ = self.lines.send(line).await;
    }

    /// Waits until all lines are printed; for ever, if nobody reads them.
    pub(super) async fn close(self) {
        drop(self.lines);
        let _ = self.done.await;
    }
}
