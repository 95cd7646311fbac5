//! Who may perform a trial at the same time.

use std::sync::Arc;
use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Shared by trials that run beside each other, and held alone by one that proved nothing while others ran beside it:
/// the load that one server under test makes is no excuse for another, nor for itself. Clones are the same lock.
#[derive(Clone, Debug, Default)]
pub(crate) struct Exclusive(Arc<RwLock<()>>);

impl Exclusive {
    /// Waits until nobody is alone.
    pub(super) async fn shared(&self) -> RwLockReadGuard<'_, ()> {
        self.0.read().await
    }

    /// Waits until nobody else is at it.
    pub(super) async fn alone(&self) -> RwLockWriteGuard<'_, ()> {
        self.0.write().await
    }
}
