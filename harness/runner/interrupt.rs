//! The end of a run from outside.

use tokio::sync::watch;

/// Ends a run before it is done, from another thread or from a handler of signals: servers are stopped, and the report tells
/// what is known by then. A clone ends the same runs.
///
/// ```no_run
/// use sockdrill::{Interrupt, Profile, Settings, Target, check};
///
/// let interrupt = Interrupt::default();
/// let mut settings = Settings::default();
/// settings.interrupt = interrupt.clone();
/// std::thread::spawn(move || {
///     // When whoever waits for the report has gone away.
///     interrupt.raise();
/// });
/// let target = Target::command(["./server", "{port}"], Profile::unknown());
/// let report = check(&target, &settings, &|_| {})?;
/// if report.interrupted {
///     println!("this is what is known by now");
/// }
/// # Ok::<(), sockdrill::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Interrupt {
    raised: watch::Sender<bool>,
}

impl Interrupt {
    /// Ends the runs, those that are still to begin too.
    pub fn raise(&self) {
        self.raised.send_replace(true);
    }

    /// Whether it was raised.
    pub(super) fn is_raised(&self) -> bool {
        *self.raised.borrow()
    }

    /// Waits until it is raised.
    pub(crate) async fn until_raised(&self) {
        let mut raised = self.raised.subscribe();
        // It cannot be given up while we hold it.
        let _ = raised.wait_for(|raised| *raised).await;
    }
}
