//! Who may perform a trial at the same time.

use std::sync::Arc;
use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock};

/// Shared by trials that run beside each other, and held alone by one that proved nothing while others ran beside it:
/// the load that one server under test makes is no excuse for another, nor for itself. Clones are the same lock.
#[derive(Clone, Debug, Default)]
pub(crate) struct Exclusive(Arc<RwLock<()>>);

impl Exclusive {
    /// Waits until nobody is alone.
    pub(super) async fn shared(&self) -> OwnedRwLockReadGuard<()> {
        Arc::clone(&self.0).read_owned().await
    }

    /// Waits until nobody else is at it.
    pub(super) async fn alone(&self) -> OwnedRwLockWriteGuard<()> {
        Arc::clone(&self.0).write_owned().await
    }
}
