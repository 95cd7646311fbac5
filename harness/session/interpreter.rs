//! Going through the lines of a phase, those of one crowd by each of its clients at its own pace.

use super::phases::{Flow, Session, go_on_if};
use crate::kernel::{self};
use crate::model::error::Error;
use crate::model::limits::WORTH_A_PLACE;
use crate::model::scenario::{Line, Step};
use crate::session::client::Client;
use crate::transcript::event::{ClientEvent, Ended, ServerEvent, What};
use futures_util::future::join_all;
use std::future::Future;
use std::pin::Pin;

impl Session<'_> {
    /// Performs lines, numbered from `first` in the order of the text. Lines of the same clients that follow each
    /// other are gone through by each client at its own pace.
    pub(super) fn lines<'b>(
        &'b mut self,
        lines: &'b [Line],
        first: usize,
    ) -> Pin<Box<dyn Future<Output = Result<Flow, Error>> + 'b>> {
        Box::pin(async move {
            let (mut rest, mut number) = (lines, first);
            while let Some((line, later)) = rest.split_first() {
                let (done, flow) = match (line.clients(), &line.step) {
                    (Some(who), _) => {
                        let run = rest.iter().take_while(|line| line.clients() == Some(who));
                        let run = &rest[..run.count()];
                        (run, self.side_by_side(who, run, number).await)
                    }
                    (None, Step::Repeat { times, lines }) => {
                        (&rest[..1], self.repeat(*times, lines, number + 1).await?)
                    }
                    (None, _) => (&rest[..1], self.line(line, number).await?),
                };
                if flow == Flow::Break(()) {
                    return Ok(Flow::Break(()));
                }
                number += count(done);
                rest = rest.get(done.len()..).unwrap_or(later);
            }
            Ok(Flow::Continue(()))
        })
    }

    async fn repeat(&mut self, times: u32, lines: &[Line], first: usize) -> Result<Flow, Error> {
        for _ in 0..times {
            if self.lines(lines, first).await? == Flow::Break(()) {
                return Ok(Flow::Break(()));
            }
        }
        Ok(Flow::Continue(()))
    }

    /// A line that is not one of clients alone.
    pub(super) async fn line(&mut self, line: &Line, number: usize) -> Result<Flow, Error> {
        self.observer.look_at_figures();
        self.begin_step(number);
        let (how, flow) = match &line.step {
            Step::Server(action) => self.server_step(action).await?,
            Step::Backend { name, action } => self.backend_step(name, action).await,
            Step::Pause(time) => {
                if *time >= WORTH_A_PLACE {
                    self.observer.turn.pause();
                }
                tokio::time::sleep(*time).await;
                self.observer.turn.come_back_if_free();
                (Ended::Done, Flow::Continue(()))
            }
            Step::Settle => {
                self.observer.settle(&self.clients).await;
                (Ended::Done, Flow::Continue(()))
            }
            Step::Client { .. } | Step::Repeat { .. } | Step::Barrier => {
                (Ended::Done, Flow::Continue(()))
            }
        };
        self.end_step(number, None, how, flow);
        Ok(flow)
    }

    fn begin_step(&self, step: usize) {
        self.observer.record(What::StepBegan(step));
        if let Some(seat) = self.observer.turn.seat() {
            seat.begin_step(step);
        }
    }

    fn end_step(&self, step: usize, member: Option<u32>, how: Ended, flow: Flow) {
        self.observer.record_destroyed_sockets();
        self.observer.record_answers();
        self.observer.ends.record_soon();
        if flow == Flow::Break(()) && !self.stopped.replace(true) {
            self.note_the_deferred();
            // Of who is not seen nothing is told.
            if self.server().is_none_or(|server| !server.is_elsewhere()) {
                let doing = kernel::occupations(&self.observer.processes());
                self.observer.record_server(ServerEvent::Occupied(doing));
            }
        }
        self.observer.record(What::StepEnded { step, member, how });
        self.observer.look_at_figures();
        if let Some(seat) = self.observer.turn.seat() {
            seat.end_step(step);
        }
    }

    /// Lets every client behind a name go through lines that concern no one else; all is over when all are done.
    async fn side_by_side(&self, who: usize, lines: &[Line], first: usize) -> Flow {
        let Some(mut crowd) = self.clients.take(who) else {
            return Flow::Break(());
        };
        self.at_once.set(crowd.len());
        let walks = crowd.iter_mut();
        let walks = walks.map(|client| self.walk(client, lines, first));
        let flows = join_all(walks).await;
        self.clients.put_back(who, crowd);
        go_on_if(flows.iter().all(Flow::is_continue))
    }

    /// Lets one client go through such lines.
    fn walk<'b>(
        &'b self,
        client: &'b mut Client,
        lines: &'b [Line],
        first: usize,
    ) -> Pin<Box<dyn Future<Output = Flow> + 'b>> {
        Box::pin(async move {
            let mut number = first;
            for line in lines {
                if self.client_line(client, line, number).await.is_break() {
                    return Flow::Break(());
                }
                number += count(std::slice::from_ref(line));
            }
            Flow::Continue(())
        })
    }

    pub(super) async fn client_line(
        &self,
        client: &mut Client,
        line: &Line,
        number: usize,
    ) -> Flow {
        match &line.step {
            Step::Repeat { times, lines } => {
                self.walk_again(*times, client, lines, number + 1).await
            }
            Step::Client { action, .. } => {
                self.begin_step(number);
                let (how, flow) = self.client_move(client, action).await;
                if let Some(late) = client.take_lateness() {
                    self.observer
                        .record(What::Client(client.id(), ClientEvent::Late(late)));
                }
                if flow.is_break() && client.is_deferred() {
                    self.observer
                        .record(What::Client(client.id(), ClientEvent::Deferred));
                }
                self.end_step(number, Some(client.id().member), how, flow);
                flow
            }
            _ => Flow::Continue(()),
        }
    }

    async fn walk_again(
        &self,
        times: u32,
        client: &mut Client,
        lines: &[Line],
        first: usize,
    ) -> Flow {
        for _ in 0..times {
            if self.walk(client, lines, first).await.is_break() {
                return Flow::Break(());
            }
        }
        Flow::Continue(())
    }
}

pub(super) fn count(lines: &[Line]) -> usize {
    lines
        .iter()
        .map(|line| match &line.step {
            Step::Repeat { lines, .. } => 1 + count(lines),
            _ => 1,
        })
        .sum()
}
