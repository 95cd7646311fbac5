//! The signals that a user ends the program with.

use crate::model::error::Error;
use crate::runner::Interrupt;

/// What is raised when the user interrupts the program (SIGINT, SIGTERM).
///
/// # Errors
/// The signal handlers cannot be installed.
pub(super) fn interrupt() -> Result<Interrupt, Error> {
    use tokio::signal::unix::{SignalKind, signal};
    let failed = |source| Error::Kernel {
        doing: "waiting for signals",
        source,
    };
    let interrupt = Interrupt::default();
    let raised = interrupt.clone();
    let (ready, installed) = std::sync::mpsc::channel();
    let listen = move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(async {
            let (mut int, mut term) = (
                signal(SignalKind::interrupt())?,
                signal(SignalKind::terminate())?,
            );
            let _ = ready.send(());
            tokio::select! { _ = int.recv() => {}, _ = term.recv() => {} }
            raised.raise();
            // Stays, so that further signals do not end the program before it has cleaned up.
            std::future::pending::<std::io::Result<()>>().await
        })
    };
    std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(listen)
        .map_err(failed)?;
    // An error ends the thread and drops the sender; then the default of the signals stands, which ends us too.
    let _ = installed.recv();
    Ok(interrupt)
}
