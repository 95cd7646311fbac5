//! Returns what it gets, and does for each client what may fail on a host that is at its limits: it goes on without.

use super::conversation::{BUFFER_BYTES, Conversation};
use super::server::ReferenceServer;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::thread;

pub(super) const LEDGER: ReferenceServer = ReferenceServer::stream(
    "ledger",
    "Returns what it gets, and writes down each client in a thread of its own: on its output, and in a ledger, which is /dev/null.",
    |client| Box::pin(converse(client)),
);

async fn converse(client: &mut Conversation) -> io::Result<()> {
    // A client that has gone since has no address, and needs no answers at once.
    let source = client.source();
    client.answer_at_once();
    let entry = source.map_or_else(|| "a client".to_owned(), |source| source.to_string());
    // Without a thread or a ledger it is not written down.
    let _ = thread::Builder::new().spawn(move || write_down(&entry));
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let count = client.read(&mut buffer).await?;
        if count == 0 {
            return Ok(());
        }
        client.write_all(&buffer[..count]).await?;
    }
}

/// Writes a client down, as far as that can be done.
fn write_down(entry: &str) {
    let _ = writeln!(io::stdout(), "{entry} has come");
    if let Ok(mut ledger) = OpenOptions::new().append(true).open("/dev/null") {
        let _ = writeln!(ledger, "{entry}");
    }
}
