//! The thread that has a server: it outlives whatever thread a test or a fixture runs on, and takes the steps of all clients.

use super::failure::{Test, fail};
use super::order::{Deed, Order, Place, Taken};
use crate::launch::Target;
use crate::launch::lab::Lab;
use crate::model::error::Error;
use crate::model::profile::Stop;
use crate::model::scenario::{Line, Step};
use crate::model::subject::Place as Where;
use crate::report::data::{CheckResult, Outcome};
use crate::runner::{Settings, Told, perform_here};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use std::cell::Cell;
use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use tokio::sync::Notify;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;

/// How a server is to be served.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) target: Target,
    pub(super) settings: Settings,
    /// A polite client comes before and after, and a bystander stands beside.
    pub(super) polite: bool,
    pub(super) test: Test,
}

/// What is known of a server that was started.
pub(super) struct Begun {
    pub(super) lab: Arc<Lab>,
    pub(super) place: Where,
    pub(super) stop: Stop,
}

/// What has ended it.
#[derive(Clone, Debug)]
pub(super) struct Over {
    /// All that there is to say of it.
    pub(super) text: Arc<str>,
    /// What was seen, where anything could be.
    pub(super) result: Option<CheckResult>,
}

/// The way to the thread.
#[derive(Debug)]
pub(super) struct Stage {
    pub(super) orders: UnboundedSender<Order>,
    /// The failure that has ended it, where one has.
    pub(super) over: Arc<OnceLock<Over>>,
    /// Whether a test has failed by it.
    is_told: AtomicBool,
    /// Ends what is waited for, as nobody is there any more.
    left: Arc<Notify>,
}

impl Stage {
    /// Starts a server on a thread of its own, and says so once it is there.
    ///
    /// # Errors
    /// There is no thread to be had.
    pub(super) fn open(
        plan: Plan,
        begun: impl FnOnce(Result<Begun, Error>) + Send + 'static,
    ) -> Result<(Self, std::thread::JoinHandle<()>), Error> {
        let (orders, to_take) = unbounded_channel();
        let over = Arc::<OnceLock<Over>>::default();
        let said = Arc::clone(&over);
        let left = Arc::<Notify>::default();
        let leaves = Arc::clone(&left);
        let thread = std::thread::Builder::new().name("sockdrill".to_owned());
        let thread = thread.spawn(move || {
            let begun = Cell::new(Some(begun));
            let begins = |started| {
                if let Some(tell) = begun.take() {
                    tell(started);
                }
            };
            let performed =
                perform_here(Box::pin(perform(&plan, to_take, &leaves, &said, &begins)));
            if let Err(error) = performed {
                let text = error.chain().into();
                let _ = said.set(Over { text, result: None });
                begins(Err(error));
            }
        });
        let thread = thread.map_err(|source| Error::Kernel {
            doing: "starting a thread",
            source,
        })?;
        let is_told = AtomicBool::new(false);
        let stage = Self {
            orders,
            over,
            is_told,
            left,
        };
        Ok((stage, thread))
    }

    /// Ends the server, whatever is waited for.
    pub(super) fn leave(&self) {
        let _ = self.orders.send(Order::BreakOff);
        self.left.notify_one();
    }

    /// Fails the test that runs here.
    pub(super) fn fail(&self, failure: &Arc<str>) -> ! {
        let over = self.over.get();
        if over.is_some_and(|over| Arc::ptr_eq(&over.text, failure)) {
            self.is_told.store(true, Ordering::Relaxed);
        }
        fail(failure)
    }

    /// The failure that has ended it, where no test has failed by it.
    pub(super) fn untold(&self) -> Option<&Arc<str>> {
        let over = self.over.get().map(|over| &over.text);
        over.filter(|_| !self.is_told.load(Ordering::Relaxed))
    }

    /// What is said where nobody takes orders any more.
    pub(super) fn why_over(&self) -> Arc<str> {
        let over = self.over.get();
        over.map(|over| Arc::clone(&over.text)).unwrap_or_else(|| {
            "the server is not there any more: it was finished or dropped".into()
        })
    }
}

/// Starts the server and takes orders until all is over.
async fn perform(
    plan: &Plan,
    mut orders: UnboundedReceiver<Order>,
    left: &Notify,
    over: &OnceLock<Over>,
    begun: impl FnOnce(Result<Begun, Error>),
) {
    let told = match begin(plan).await {
        Ok((told, started)) => {
            begun(Ok(started));
            told
        }
        Err(error) => return begun(Err(error)),
    };
    let performance = Performance {
        plan,
        told,
        left,
        over,
        queue: VecDeque::new(),
    };
    performance.perform(&mut orders).await;
}

async fn begin(plan: &Plan) -> Result<(Told<'_>, Begun), Error> {
    let lab = Arc::new(Lab::of(&plan.target, plan.settings.isolation)?);
    let claim = plan.test.claim();
    let told = Told::begin(&plan.target, &lab, &plan.settings, &claim, plan.polite).await?;
    let place = told.subject().place.clone();
    let stop = told.stop();
    Ok((told, Begun { lab, place, stop }))
}

/// The steps that are being taken.
struct Performance<'a> {
    plan: &'a Plan,
    told: Told<'a>,
    /// Nobody is there any more, whatever the orders are.
    left: &'a Notify,
    over: &'a OnceLock<Over>,
    /// What clients are to do who are still about something else.
    queue: VecDeque<Deed>,
}

/// A step that a client takes.
struct UnderWay {
    who: usize,
    deed: Deed,
}

/// Takes the next step out of the queue that a client can take who is about nothing else.
fn next_of(
    queue: &mut VecDeque<Deed>,
    under_way: &HashMap<usize, UnderWay>,
) -> Option<(usize, Deed)> {
    let is_busy = |who: usize| under_way.values().any(|step| step.who == who);
    let next = queue
        .iter()
        .position(|deed| deed.who().is_some_and(|who| !is_busy(who)));
    let deed = queue.remove(next?)?;
    Some((deed.who()?, deed))
}

/// Does something, unless nobody is there any more.
async fn unless_left<T>(left: &Notify, work: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        biased;
        done = work => Some(done),
        () = left.notified() => None,
    }
}

/// Why clients do not go on side by side.
enum Pause {
    /// This is to be done when none of them does anything.
    Alone(Deed),
    /// All of them have done what they had to, and somebody wants to know what was seen.
    Conclude(oneshot::Sender<Result<CheckResult, Error>>),
    /// A step of a test has failed that stands here; so do these, whose steps are cut short.
    Failed((Test, Place), Vec<oneshot::Sender<Taken>>),
    /// Nobody is there any more.
    Left,
}

impl Performance<'_> {
    async fn perform(mut self, orders: &mut UnboundedReceiver<Order>) {
        loop {
            match self.side_by_side(orders).await {
                Pause::Left => return self.leave().await,
                Pause::Failed((test, place), waiting) => {
                    return self.fail(test, place, waiting).await;
                }
                Pause::Conclude(concluded) => {
                    let Some(result) = unless_left(self.left, self.told.conclude()).await else {
                        return self.leave().await;
                    };
                    self.keep(&result, &concluded);
                    drop(self.told);
                    let _ = concluded.send(result);
                    return;
                }
                Pause::Alone(deed) => {
                    let Deed {
                        test,
                        place,
                        step,
                        taken,
                    } = deed;
                    let left = self.left;
                    let Some(error) = unless_left(left, self.alone(place, step)).await else {
                        return self.leave().await;
                    };
                    if error.is_none() && !self.told.goes_on() {
                        return self.fail(test, place, vec![taken]).await;
                    }
                    let _ = taken.send(error.map_or(Ok(Vec::new()), Err));
                }
            }
        }
    }

    /// Lets each client go its own way until something is to be done when none of them does anything.
    async fn side_by_side(&mut self, orders: &mut UnboundedReceiver<Order>) -> Pause {
        let (told, test, left) = (&self.told, &self.plan.test, self.left);
        let queue = &mut self.queue;
        let mut steps = FuturesUnordered::new();
        let mut under_way: HashMap<usize, UnderWay> = HashMap::new();
        let mut pause = None;
        loop {
            while let Some((who, deed)) = next_of(queue, &under_way) {
                let line = deed.line();
                match told.goes_on().then(|| told.write(&line)) {
                    None => return Pause::Failed((deed.test, deed.place), vec![deed.taken]),
                    Some(Err(why)) => deed.refuse(test, &why),
                    Some(Ok(number)) => {
                        under_way.insert(number, UnderWay { who, deed });
                        steps.push(async move {
                            told.of_client(who, &line, number).await;
                            number
                        });
                    }
                }
            }
            if let Some(pause) = pause.take_if(|_| steps.is_empty()) {
                return pause;
            }
            tokio::select! {
                biased;
                Some(number) = steps.next(), if !steps.is_empty() => {
                    let Some(UnderWay { who, deed }) = under_way.remove(&number) else { continue };
                    if !told.goes_on() {
                        let others = under_way.into_values().map(|other| other.deed);
                        let waits = match pause {
                            Some(Pause::Alone(other)) => Some(other),
                            _ => None,
                        };
                        let others = others.chain(waits).map(|other| other.taken);
                        let told = others.chain([deed.taken]).collect();
                        return Pause::Failed((deed.test, deed.place), told);
                    }
                    let _ = deed.taken.send(Ok(told.captured_by(who)));
                }
                () = left.notified(), if pause.is_some() => return Pause::Left,
                order = orders.recv(), if pause.is_none() => match order {
                    None | Some(Order::BreakOff) => return Pause::Left,
                    Some(Order::Come(name)) => told.let_come(&name),
                    Some(Order::Untold) => told.tells_less(),
                    Some(Order::Printed(printed)) => drop(printed.send(told.printed())),
                    Some(Order::Take(deed)) if deed.who().is_some() => queue.push_back(deed),
                    Some(Order::Take(deed)) => pause = Some(Pause::Alone(deed)),
                    Some(Order::Conclude(concluded)) => pause = Some(Pause::Conclude(concluded)),
                },
            }
        }
    }

    /// Takes a step that is no client's; what is said where it cannot be.
    async fn alone(&mut self, place: Place, step: Step) -> Option<Arc<str>> {
        if !self.told.goes_on() {
            return None;
        }
        let number = place.line() as usize;
        let line = Line { number, step };
        let test = &self.plan.test;
        match self.told.write(&line) {
            Err(why) => Some(test.impossible(&why, &place.to_string())),
            Ok(number) => {
                let taken = self.told.of_server(&line, number).await;
                let error = taken.err();
                error.map(|error| test.error(&error, &place.to_string()))
            }
        }
    }

    /// What is said of a step that has failed at a place, or of what came before all steps.
    async fn failed(&mut self, test: Test, place: Place) -> Over {
        let (test, place) = (test.or(&self.plan.test), place.to_string());
        match self.told.conclude().await {
            Err(error) => Over {
                text: test.error(&error, &place),
                result: None,
            },
            Ok(result) => {
                let failure = test.failure(result.clone(), &place);
                Over {
                    text: failure.unwrap_or_else(|| format!("{place}: the step failed").into()),
                    result: Some(result),
                }
            }
        }
    }

    /// Ends all with the failure of a step.
    async fn fail(mut self, test: Test, place: Place, waiting: Vec<oneshot::Sender<Taken>>) {
        let left = self.left;
        match unless_left(left, self.failed(test, place)).await {
            Some(failure) => self.tell(failure, waiting),
            None => self.leave().await,
        }
    }

    /// Keeps a failure that who has asked for it does not wait for any more.
    fn keep(
        &self,
        result: &Result<CheckResult, Error>,
        concluded: &oneshot::Sender<Result<CheckResult, Error>>,
    ) {
        if let Ok(result) = result
            && concluded.is_closed()
        {
            self.judge(result.clone());
        }
    }

    /// Ends all with a failure.
    fn tell(self, failure: Over, waiting: Vec<oneshot::Sender<Taken>>) {
        let failure = &self.over.get_or_init(|| failure).text;
        // Whoever is told of it may look at what is left of the server.
        drop(self.told);
        for taken in waiting {
            let _ = taken.send(Err(Arc::clone(failure)));
        }
    }

    /// Judges what was seen so far, of which nobody is told but who looks for it.
    async fn leave(mut self) {
        let result: CheckResult = self.told.break_off().await;
        self.judge(result);
    }

    /// Lets a result that fails be the failure that has ended all.
    fn judge(&self, result: CheckResult) {
        if result.outcome() == Outcome::Fail
            && let Some(text) = self
                .plan
                .test
                .failure(result.clone(), "as far as the test went")
        {
            let result = Some(result);
            let _ = self.over.set(Over { text, result });
        }
    }
}
