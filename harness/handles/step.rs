//! Steps that are taken once they are awaited.

use super::client::Client;
use super::failure::Test;
use super::heard::Heard;
use super::order::{Captured, Deed, Order, Place};
use super::stage::Stage;
use crate::model::action::{Action, ConnectOptions};
use crate::model::data::{Data, Segmentation};
use crate::model::expectation::{End, Expectation};
use crate::model::scenario::Step as Move;
use crate::model::template::Template;
use std::collections::BTreeSet;
use std::future::{Future, IntoFuture};
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

/// What awaiting a step is.
type Taking<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// A step, which is taken once it is awaited.
#[must_use = "a step is taken when it is awaited"]
#[derive(Debug)]
pub struct Step {
    stage: Arc<Stage>,
    test: Test,
    place: Place,
    moves: Vec<Move>,
}

impl Step {
    pub(super) fn of(stage: &Arc<Stage>, place: Place, step: Move) -> Self {
        Self {
            stage: Arc::clone(stage),
            test: Test::here(),
            place,
            moves: vec![step],
        }
    }

    /// The same, and another one behind it.
    pub(super) fn then(mut self, step: Move) -> Self {
        self.moves.push(step);
        self
    }

    async fn take(self) -> Captured {
        let mut captured = Vec::new();
        for step in self.moves {
            let (taken, is_taken) = oneshot::channel();
            let deed = Deed {
                test: self.test.clone(),
                place: self.place,
                step,
                taken,
            };
            let _ = self.stage.orders.send(Order::Take(deed));
            let taken = is_taken.await;
            captured = match taken.unwrap_or_else(|_| Err(self.stage.why_over())) {
                Ok(captured) => captured,
                Err(failure) => self.stage.fail(&failure),
            };
        }
        captured
    }
}

impl IntoFuture for Step {
    type Output = ();
    type IntoFuture = Taking<()>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            self.take().await;
        })
    }
}

/// A client that opens a connection.
#[derive(Debug)]
#[must_use = "it connects when this is awaited"]
pub struct Connect {
    client: Client,
    place: Place,
    options: ConnectOptions,
}

impl Connect {
    pub(super) fn of(client: Client, place: Place) -> Self {
        Self {
            client,
            place,
            options: ConnectOptions::default(),
        }
    }

    /// It comes from this local address.
    pub fn from(mut self, address: IpAddr) -> Self {
        self.options.from = Some(address);
        self
    }

    /// Its receive buffer has so many bytes, which bounds the window from the beginning.
    pub fn receive_buffer(mut self, bytes: usize) -> Self {
        self.options.receive_buffer = Some(bytes);
        self
    }

    /// It does not wait for the connection, nor fail with it.
    pub fn without_waiting(mut self) -> Self {
        self.options.without_waiting = true;
        self
    }
}

impl IntoFuture for Connect {
    type Output = ();
    type IntoFuture = Taking<()>;

    fn into_future(self) -> Self::IntoFuture {
        let action = Action::Connect(self.options);
        self.client.takes(action, self.place).into_future()
    }
}

/// A new client that connects; awaiting it returns the client.
#[derive(Debug)]
#[must_use = "it connects when this is awaited"]
pub struct Arrive {
    connect: Connect,
    client: Client,
}

impl Arrive {
    pub(super) fn of(connect: Connect, client: Client) -> Self {
        Self { connect, client }
    }
}

impl IntoFuture for Arrive {
    type Output = Client;
    type IntoFuture = Taking<Client>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            self.connect.await;
            self.client
        })
    }
}

/// A client that sends bytes, whole or in segments.
#[derive(Debug)]
#[must_use = "it sends when this is awaited"]
pub struct Sending {
    client: Client,
    place: Place,
    data: Data,
    segmentation: Segmentation,
    every: Option<Duration>,
    as_records: bool,
    background: bool,
}

impl Sending {
    pub(super) fn of(client: Client, place: Place, data: Data) -> Self {
        Self {
            client,
            place,
            data,
            segmentation: Segmentation::Whole,
            every: None,
            as_records: false,
            background: false,
        }
    }

    /// The bytes so many times in a row, once at least.
    pub fn times(mut self, times: u32) -> Self {
        self.data.times = times.max(1);
        self
    }

    /// In segments, a new one before each of these bytes, where there are so many. Each waits until the server has read the one
    /// before.
    pub fn cut_at(mut self, positions: impl IntoIterator<Item = usize>) -> Self {
        let positions: BTreeSet<usize> = positions.into_iter().collect();
        self.segmentation = Segmentation::At(positions.into_iter().collect());
        self
    }

    /// In segments of so many bytes, one at least. Each waits until the server has read the one before.
    pub fn in_pieces(mut self, bytes: usize) -> Self {
        self.segmentation = Segmentation::Pieces(bytes.max(1));
        self
    }

    /// With a pause between segments, whether the server has read the one before or not.
    pub fn every(mut self, pause: Duration) -> Self {
        self.every = Some(pause);
        self
    }

    /// Over TLS, each segment as a record of its own, rather than as a part of the records of all.
    pub fn as_records(mut self) -> Self {
        self.as_records = true;
        self
    }

    /// While the client goes on.
    pub fn in_the_background(mut self) -> Self {
        self.background = true;
        self
    }
}

impl IntoFuture for Sending {
    type Output = ();
    type IntoFuture = Taking<()>;

    fn into_future(self) -> Self::IntoFuture {
        let action = Action::Send {
            segmentation: within(self.segmentation, self.data.length()),
            data: self.data,
            every: self.every,
            as_records: self.as_records,
            background: self.background,
        };
        self.client.takes(action, self.place).into_future()
    }
}

/// The same of so many bytes, as a file would say it: whoever draws where to cut does so without a look at how many there are.
fn within(segmentation: Segmentation, bytes: usize) -> Segmentation {
    match segmentation {
        Segmentation::Pieces(size) if size >= bytes => Segmentation::Whole,
        Segmentation::At(mut positions) => {
            positions.retain(|at| (1..bytes).contains(at));
            match positions.is_empty() {
                true => Segmentation::Whole,
                false => Segmentation::At(positions),
            }
        }
        other => other,
    }
}

/// A client that is owed something.
#[derive(Debug)]
#[must_use = "it is waited for when this is awaited"]
pub struct Expect {
    client: Client,
    place: Place,
    what: Expectation,
    within: Option<Duration>,
}

impl Expect {
    pub(super) fn of(client: Client, place: Place, what: Expectation) -> Self {
        Self {
            client,
            place,
            what,
            within: None,
        }
    }

    /// By when, in the place of what is waited for as long as the server may still do it.
    pub fn within(mut self, time: Duration) -> Self {
        self.within = Some(time);
        self
    }
}

impl IntoFuture for Expect {
    type Output = ();
    type IntoFuture = Taking<()>;

    fn into_future(self) -> Self::IntoFuture {
        let action = Action::Expect {
            what: self.what,
            within: self.within,
        };
        self.client.takes(action, self.place).into_future()
    }
}

/// A client that is owed bytes of which some are not known; awaiting it returns what came in their place.
#[derive(Debug)]
#[must_use = "it is waited for when this is awaited"]
pub struct ExpectLike {
    client: Client,
    place: Place,
    template: Template,
    within: Option<Duration>,
}

impl ExpectLike {
    pub(super) fn of(client: Client, place: Place, template: Template) -> Self {
        Self {
            client,
            place,
            template,
            within: None,
        }
    }

    /// By when, in the place of what is waited for as long as the server may still do it.
    pub fn within(mut self, time: Duration) -> Self {
        self.within = Some(time);
        self
    }
}

impl IntoFuture for ExpectLike {
    type Output = Heard;
    type IntoFuture = Taking<Heard>;

    fn into_future(self) -> Self::IntoFuture {
        let action = Action::Expect {
            what: Expectation::Template(self.template.clone()),
            within: self.within,
        };
        let step = self.client.takes(action, self.place);
        Box::pin(async move {
            let captured = step.take().await;
            Heard::of(self.template.captures(), captured)
        })
    }
}

/// A client whose connection is to end.
#[derive(Debug)]
#[must_use = "it is waited for when this is awaited"]
pub struct ExpectEnd {
    client: Client,
    place: Place,
    kinds: Vec<End>,
    all_bytes_first: bool,
    within: Option<Duration>,
}

impl ExpectEnd {
    pub(super) fn of(client: Client, place: Place, end: End) -> Self {
        Self {
            client,
            place,
            kinds: vec![end],
            all_bytes_first: false,
            within: None,
        }
    }

    /// Or in this way.
    pub fn or(mut self, end: End) -> Self {
        self.kinds.push(end);
        self
    }

    /// No byte comes before that was not expected, and none is lost.
    pub fn all_bytes_first(mut self) -> Self {
        self.all_bytes_first = true;
        self
    }

    /// By when, in the place of what is waited for as long as the server may still do it.
    pub fn within(mut self, time: Duration) -> Self {
        self.within = Some(time);
        self
    }
}

impl IntoFuture for ExpectEnd {
    type Output = ();
    type IntoFuture = Taking<()>;

    fn into_future(self) -> Self::IntoFuture {
        let what = Expectation::End {
            kinds: self.kinds,
            all_bytes_first: self.all_bytes_first,
        };
        let action = Action::Expect {
            what,
            within: self.within,
        };
        self.client.takes(action, self.place).into_future()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_are_where_there_are_bytes() {
        let at = |positions: &[usize]| Segmentation::At(positions.to_vec());
        assert_eq!(within(at(&[0, 2, 5, 9]), 5), at(&[2]));
        assert_eq!(within(at(&[0, 5]), 5), Segmentation::Whole);
        assert_eq!(
            within(Segmentation::Pieces(usize::MAX), 5),
            Segmentation::Whole
        );
        assert_eq!(within(Segmentation::Pieces(4), 5), Segmentation::Pieces(4));
    }
}
