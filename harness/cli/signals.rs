//! The signals that a user ends the program with.

use super::keyboard::give_back;
use super::layout::message;
use super::line::above_it;
use crate::model::error::{Error, ExitCode};
use crate::runner::Interrupt;
use crate::sys::signals::{end_at_once, outlives_terminal};
use futures_util::future::select_all;
use std::io::{self, Write};
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::timeout;

/// Signals that come so soon after the first are the same interrupt: timeout(1) sends its own to the program and to its group, and
/// who has started us may pass on what the terminal has sent to both.
const SAME_WITHIN: Duration = Duration::from_millis(500);

/// What is said of the first interrupt.
const SAID: &str = "interrupted: the servers are being stopped, and what is known is reported; interrupt again to end at once";

/// What is raised when the user interrupts the program (SIGINT, SIGTERM, SIGHUP). A second interrupt ends it at once.
///
/// # Errors
/// The signal handlers cannot be installed.
pub(super) fn interrupt() -> Result<Interrupt, Error> {
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
            let mut signals = signals()?;
            let _ = ready.send(());
            next(&mut signals).await;
            raised.raise();
            say_so();
            until_meant_again(&mut signals).await;
            give_back();
            end_at_once(ExitCode::Interrupted as i32)
        })
    };
    std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || -> io::Result<()> { listen() })
        .map_err(failed)?;
    // An error ends the thread and drops the sender; then the default of the signals stands, which ends us too.
    let _ = installed.recv();
    Ok(interrupt)
}

/// The signals, caught from now on.
fn signals() -> io::Result<Vec<Signal>> {
    let all = [SignalKind::interrupt(), SignalKind::terminate()];
    let hangup = (!outlives_terminal()).then_some(SignalKind::hangup());
    all.into_iter().chain(hangup).map(signal).collect()
}

/// Waits for one of them.
async fn next(signals: &mut [Signal]) {
    select_all(signals.iter_mut().map(|signal| Box::pin(signal.recv()))).await;
}

/// Waits for one that is no echo of the first.
async fn until_meant_again(signals: &mut [Signal]) {
    let echoes = async {
        loop {
            next(signals).await;
        }
    };
    // What has come is taken before it is asked for the time, so that a host which lets us wait makes no echo a second interrupt.
    let _: Result<(), _> = timeout(SAME_WITHIN, echoes).await;
    next(signals).await;
}

/// Says what happens now. Whoever reads that may have stopped to read, and the second interrupt is to be heard all the same.
fn say_so() {
    let say = || {
        above_it(|| {
            let _ = writeln!(io::stderr(), "{}", message(SAID, io::stderr()));
        });
    };
    // Where there are no threads any more, nothing is said.
    let _ = std::thread::Builder::new().spawn(say);
}
