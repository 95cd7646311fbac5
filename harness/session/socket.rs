//! A client's socket, and who waits for it.

use crate::sys::socket::watched;
use rustix::fd::OwnedFd;
use std::cell::OnceCell;
use std::rc::Rc;
use tokio::io::unix::{AsyncFd, AsyncFdReadyGuard};

/// A socket that is watched from when it is connected, or about to be. The kernel says of a stream that is neither that it has hung
/// up (epoll_ctl(2), `EPOLLHUP`), which an event loop takes for its end, and for good: whoever waited for it later would never wait.
#[derive(Debug)]
pub(super) struct Socket {
    fd: Rc<OwnedFd>,
    watched: OnceCell<AsyncFd<Rc<OwnedFd>>>,
}

type Ready<'a> = std::io::Result<AsyncFdReadyGuard<'a, Rc<OwnedFd>>>;

impl Socket {
    /// One that nobody waits for before it is connected.
    pub(super) fn unconnected(fd: OwnedFd) -> Self {
        let (fd, watched) = (Rc::new(fd), OnceCell::new());
        Self { fd, watched }
    }

    /// One that is connected, or in the middle of a handshake.
    ///
    /// # Errors
    /// The host has no place for another one that is watched.
    pub(super) fn watched(fd: OwnedFd) -> std::io::Result<Self> {
        let socket = Self::unconnected(fd);
        socket.watch()?;
        Ok(socket)
    }

    fn watch(&self) -> std::io::Result<&AsyncFd<Rc<OwnedFd>>> {
        match self.watched.get() {
            Some(watched) => Ok(watched),
            None => {
                let new = watched(Rc::clone(&self.fd))?;
                Ok(self.watched.get_or_init(|| new))
            }
        }
    }

    pub(super) fn get_ref(&self) -> &OwnedFd {
        &self.fd
    }

    pub(super) async fn readable(&self) -> Ready<'_> {
        self.watch()?.readable().await
    }

    pub(super) async fn writable(&self) -> Ready<'_> {
        self.watch()?.writable().await
    }
}
